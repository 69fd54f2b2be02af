#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "base/file_limit.h"
#include "base/interruptible_stream.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/source_path.h"
#include "layerstore/archive.h"
#include "output/progress_display.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

UniqueFd open_input(const std::string& path) {
  if (!path.empty() && path != "-") {
    UniqueFd file = open_source(path, O_RDONLY | O_NONBLOCK);  // the stream waits
    if (S_ISDIR(sys::stat_of(file).st_mode))
      throw Error(Errc::invalid, "is a folder, expected an archive")
          .with_hint(fmt::format("an OCI layout is taken by: lay copy oci:{} NAME", printable(path)));
    return file;
  }
  if (::isatty(STDIN_FILENO) != 0)
    throw Error(Errc::invalid, "an archive does not come from a terminal")
        .with_hint("give a file with -i FILE");
  return UniqueFd{::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)};
}

/// The name as the user of lay would write it. docker 25 and containerd put the whole name beside a mere tag.
std::string local_name_of(const layerstore::ArchiveName& name) {
  if (name.complete.empty()) return registry::local_name(name.name);
  try {
    if (registry::to_string(registry::parse_reference(name.name)) == name.complete)
      return registry::local_name(name.name);
  } catch (const Error& error) {
    if (error.code() != Errc::invalid) throw;
  }
  return registry::local_name(name.complete);
}

/// All names, checked before the first one is given.
std::map<std::string, layerstore::Descriptor> plan_names(
    const std::vector<layerstore::ArchivedImage>& images) {
  std::map<std::string, layerstore::Descriptor> names;
  const auto add = [&](const std::string& name, const layerstore::Descriptor& manifest) {
    const auto [it, fresh] = names.emplace(name, manifest);
    if (!fresh && it->second.digest != manifest.digest)
      throw Error::make(Errc::invalid, "the archive gives '{}' to two images", name);
  };
  for (const layerstore::ArchivedImage& archived : images) {
    const layerstore::Descriptor& manifest = archived.image.descriptor;
    for (const layerstore::ArchiveName& name : archived.names) add(local_name_of(name), manifest);
    if (archived.names.empty()) add("loaded:" + archived.image.id().short_hex(), manifest);
  }
  return names;
}

/// Stages and verifies the archive; returns the names that its images shall have.
std::map<std::string, layerstore::Descriptor> take_in(const layerstore::Store& store, ByteSource& archive,
                                                      Progress& progress) {
  std::map<std::string, layerstore::Descriptor> names;
  try {
    layerstore::load_archive(
        store, archive, [&](const auto& images) { names = plan_names(images); }, progress);
  } catch (Error& error) {
    const bool is_bad =
        error.code() == Errc::invalid || error.code() == Errc::corrupt || error.code() == Errc::unsupported;
    if (is_bad && error.hint().empty())
      error.with_hint(
          "save it again with 'lay save', 'podman save' or 'docker save'; nothing of it was taken");
    throw;
  }
  return names;
}

}  // namespace

int command_load(const Context& context, const Arguments& arguments) {
  std::string input;
  bool quiet = false;
  Parser parser("load", "[flags]",
                "Takes the images of an archive that lay, podman, docker or skopeo "
                "saved, plain or compressed. One without a name is called loaded:ID.");
  parser.add_option("-i,--input", input, "archive (default, and -: stdin)").type_name("FILE");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  parser.parse(arguments);
  require_root("load");
  return with_context(input.empty() ? "load" : "load " + printable(input), [&] {
    raise_file_limit();  // every member of an archive stays open until all of it is verified
    const UniqueFd file = open_input(input);
    const layerstore::Store store = open_store(context);  // what is not there makes none
    const FileLock adding = store.begin_adding();
    InterruptibleSource archive(file);
    const auto progress = quiet ? nullptr : make_progress_display();
    for (const auto& [name, manifest] : take_in(store, archive, progress ? *progress : no_progress())) {
      store.images().put(name, manifest);
      fmt::print("Loaded image: {}\n", name);
    }
    return 0;
  });
}

}  // namespace lay::cli
