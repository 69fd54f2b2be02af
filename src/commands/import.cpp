#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/interruptible_stream.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "context.h"
#include "flags/options.h"
#include "flags/platform_flags.h"
#include "images/image_changes.h"
#include "images/source_path.h"
#include "layerstore/commit.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

struct ImportOptions {
  std::string source;
  std::string name;
  std::vector<std::string> changes;
  bool quiet = false;
  PlatformFlags platform;
  ImageFlags image;
};

ImportOptions parse_options(const Arguments& arguments) {
  ImportOptions options;
  Parser parser("import", "[flags] FOLDER|TAR|- NAME[:TAG]",
                "Makes a base image of a root file system: a folder, a tar (plain, gzip, zstd, xz, "
                "bzip2), or a tar on stdin.");
  parser.add_option("source", options.source, "folder, tar file, or - for stdin").required();
  parser.add_option("name", options.name, "name of the new image").required();
  parser.add_flag("-q,--quiet", options.quiet, "no progress");
  options.platform.add_to(parser);
  options.image.add_to(parser);
  parser.add_list("-c,--change", options.changes, "the same as a Containerfile says it", "INSTRUCTION");
  parser.parse(arguments);
  return options;
}

UniqueFd find_source(const ImportOptions& options) {
  if (options.source == "-") return UniqueFd{::dup(STDIN_FILENO)};
  UniqueFd source = open_source(options.source, O_RDONLY | O_NONBLOCK);
  const mode_t type = sys::stat_of(source).st_mode & S_IFMT;
  if (type != S_IFDIR && type != S_IFREG)
    throw Error::make(Errc::invalid, "'{}' is neither a folder nor a file", options.source)
        .with_hint("lay import takes a folder, a tar, or - for a tar on stdin");
  return source;
}

layerstore::Image import_source(const layerstore::Store& store, const UniqueFd& source,
                                const std::string& name, const layerstore::CommitRequest& request,
                                Progress& progress) {
  if (S_ISDIR(sys::stat_of(source).st_mode))
    return layerstore::import_folder(store, source, name, request, progress);
  InterruptibleSource tar(source);
  try {
    return layerstore::import_tar(store, tar, name, request, progress);
  } catch (Error& error) {
    const bool is_bad_tar = error.code() == Errc::invalid || error.code() == Errc::corrupt;
    if (is_bad_tar && error.hint().empty())
      error.with_hint("lay import takes the tar of a root file system: plain, gzip, zstd, xz or bzip2");
    throw;
  }
}

}  // namespace

int command_import(const Context& context, const Arguments& arguments) {
  const ImportOptions options = parse_options(arguments);
  require_root("import");
  return with_context("import " + printable(options.source), [&] {
    layerstore::CommitRequest request;
    request.platform = options.platform.value();
    request.run = with_changes({}, options.changes, options.image);
    request.history.created_by = "lay import";
    request.history.author = options.image.author;
    request.history.comment = options.image.message;
    request.compression = options.image.compress_options();
    request.warn = print_note;
    const std::string name = registry::local_name(options.name);
    const UniqueFd source = find_source(options);
    const layerstore::Store store = open_store(context);  // last: a wrong argument makes none
    const auto progress = options.quiet ? nullptr : make_progress_display();
    const layerstore::Image image =
        import_source(store, source, name, request, progress ? *progress : no_progress());
    fmt::print("{}\n", image.id().to_string());
    return 0;
  });
}

}  // namespace lay::cli
