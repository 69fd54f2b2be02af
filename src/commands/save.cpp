#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "layerstore/archive.h"
#include "output/messages.h"
#include "output/output_file.h"
#include "output/progress_display.h"
#include "registry/absent.h"
#include "registry/reference.h"

namespace lay::cli {

namespace {

struct SaveOptions {
  std::vector<std::string> images;
  std::string output;
  std::string format = "docker-archive";
  bool quiet = false;
};

SaveOptions parse_options(const Arguments& arguments) {
  SaveOptions options;
  bool several = false;
  Parser parser("save", "[flags] IMAGE …",
                "Writes images as one archive, which 'load' of lay, podman and docker "
                "takes, and skopeo. The same images give the same bytes.");
  parser.add_option("image", options.images, "images of this store").required();
  parser.add_option("-o,--output", options.output, "file to write (default: stdout)").type_name("FILE");
  parser
      .add_option("--format", options.format,
                  "docker-archive, which every tool takes, or oci-archive, which keeps digests and "
                  "compression (default: docker-archive)")
      .type_name("FORMAT");
  parser.add_flag("-m,--multi-image-archive", several, "always so here; podman needs it");
  bool compress = false;
  bool uncompressed = false;
  parser.add_flag("--compress", compress, "podman's, for its docker-dir; refused here");
  parser.add_flag("--uncompressed", uncompressed, "layers without compression stay so: always so here");
  parser.add_flag("-q,--quiet", options.quiet, "no progress");
  parser.parse(arguments);
  if (compress)
    throw Error(Errc::unsupported, "--compress is for podman's docker-dir, which lay does not write")
        .with_hint("--format oci-archive keeps layers compressed as they are stored");
  return options;
}

/// An archive names images by tags: one that was pulled by digest goes without.
std::vector<layerstore::ArchiveName> names_of(const FoundImage& found) {
  if (found.by == FoundBy::id || found.name.empty()) return {};
  const std::string name = found.name.substr(0, found.name.find('@'));
  try {
    const registry::Reference reference = registry::parse_reference(found.name);
    if (reference.tag.empty()) return {};
    return {{.name = name, .complete = registry::to_string(registry::parse_reference(name))}};
  } catch (const Error& error) {
    if (error.code() != Errc::invalid) throw;
    return {{.name = name}};  // another tool named it
  }
}

/// An archive with blobs has all of them.
void bring_blobs(const layerstore::Store& store, const std::vector<layerstore::ArchivedImage>& images,
                 bool quiet, Progress& progress) {
  registry::AbsentRequest request{.connection = [quiet](const std::string&) {
    registry::Connection connection = ConnectionFlags().connection();
    if (quiet) connection.on_silence = nullptr;
    return connection;
  }};
  if (!quiet) request.tell = print_note;
  for (const layerstore::ArchivedImage& archived : images)
    registry::fetch_absent_blobs(store, archived.image, request, progress);
}

void write_archive(const layerstore::Store& store, const std::vector<layerstore::ArchivedImage>& images,
                   layerstore::ArchiveFormat format, ByteSink& out, Progress& progress) {
  try {
    layerstore::save_archive(store, images, format, out, progress);
  } catch (Error& error) {
    if (error.code() == Errc::corrupt && error.hint().empty()) error.with_hint("lay fsck --repair");
    throw;
  }
}

}  // namespace

int command_save(const Context& context, const Arguments& arguments) {
  const SaveOptions options = parse_options(arguments);
  return with_context("save", [&] {
    const layerstore::ArchiveFormat format = layerstore::parse_archive_format(options.format);
    const layerstore::Store store = open_store_with(context, options.images.front());
    const FileLock lock = store.share();
    std::vector<layerstore::ArchivedImage> images;
    for (const std::string& text : options.images) {
      FoundImage found = find_image(store, text);
      std::vector<layerstore::ArchiveName> names = names_of(found);
      images.push_back({.image = std::move(found.image), .names = std::move(names)});
    }
    const auto display = options.quiet ? nullptr : make_progress_display();
    Progress& progress = display ? *display : no_progress();
    if (format == layerstore::ArchiveFormat::oci) bring_blobs(store, images, options.quiet, progress);
    OutputFile output(options.output);
    write_archive(store, images, format, output.sink(), progress);
    output.commit();
    return 0;
  });
}

}  // namespace lay::cli
