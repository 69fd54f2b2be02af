#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "flags/compression_flags.h"
#include "flags/options.h"
#include "images/id_file.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "registry/transfer.h"

namespace lay::cli {

namespace {

struct PushOptions {
  registry::Connection connection;
  CompressionFlags compression;
  std::string digest_file;
  bool quiet = false;
};

void push_one(const layerstore::Store& store, const std::string& source, const std::string& target,
              const PushOptions& options) {
  registry::PushRequest request{
      .reference = registry::parse_reference(target.empty() ? source : without_transport(target)),
      .connection = options.connection,
      .chunk = upload_chunk(),
  };
  if (!options.quiet) request.tell = print_note;
  // Before the image is found: nothing of it may be collected until it is sent
  const FileLock using_image = options.compression.are_given() ? store.begin_adding() : store.share();
  const FoundImage found = find_image(store, source);
  const auto display = options.quiet ? nullptr : make_progress_display();
  Progress& progress = display ? *display : no_progress();
  const layerstore::Image image = options.compression.applied_to(store, found.image, progress);
  const registry::PushResult result = registry::push(store, image.descriptor, request, progress);
  if (!options.quiet)
    print_note(fmt::format("pushed {}: {} blobs sent, {} already there",
                           registry::to_string(request.reference), result.blobs_sent, result.blobs_there));
  if (!options.digest_file.empty()) write_id_file(options.digest_file, result.manifest.to_string());
  fmt::print("{}\n", result.manifest.to_string());
}

/// The names of the store that are tags of the repository `text`.
std::vector<std::string> tags_of(const layerstore::Store& store, const std::string& text) {
  const registry::Reference repository = registry::parse_reference(text);
  if (text.find('@') != std::string::npos || registry::local_name(text) == text)
    throw Error::make(Errc::invalid, "--all-tags takes a repository, and '{}' has a tag", printable(text))
        .with_hint(fmt::format("lay push --all-tags {}/{}", repository.domain, repository.repository));
  std::vector<std::string> names;
  for (const layerstore::NamedImage& named : store.images().list()) {
    const registry::Reference reference = registry::parse_reference(named.name);
    if (reference.domain == repository.domain && reference.repository == repository.repository &&
        !reference.tag.empty())
      names.push_back(named.name);
  }
  if (names.empty())
    throw Error::make(Errc::not_found, "no image of this repository")
        .with_hint("'lay images' lists what is here");
  return names;
}

}  // namespace

int command_push(const Context& context, const Arguments& arguments) {
  std::string source;
  std::string target;
  PushOptions options;
  bool all_tags = false;
  bool preserves_digests = false;
  bool removes_signatures = false;
  ConnectionFlags connection;
  Parser parser("push", "[flags] IMAGE [TARGET]",
                "Sends an image to a registry. Without TARGET the image's own name says where.");
  parser.add_option("image", source, "image of this store").required();
  parser.add_option("target", target, "[docker://][HOST[:PORT]/]REPOSITORY[:TAG]");
  parser.add_option("--digestfile", options.digest_file, "write the manifest's digest to this file")
      .type_name("FILE");
  options.compression.add_to(parser);
  parser.add_flag("-a,--all-tags", all_tags, "IMAGE is a repository: send all that the store has of it");
  parser.add_flag("--preserve-digests", preserves_digests,
                  "for scripts: no digest changes in any case without --compression-…");
  parser.add_flag("--remove-signatures", removes_signatures, "for scripts: none goes along in any case");
  parser.add_flag("-q,--quiet", options.quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);
  options.compression.check();

  return with_context("push " + printable(source), [&] {
    if (preserves_digests && options.compression.are_given())
      throw Error(Errc::invalid, "layers that are compressed anew have other digests")
          .with_hint("leave --compression-format out, or --preserve-digests");
    if (all_tags && (!target.empty() || !options.digest_file.empty()))
      throw Error(Errc::invalid, "--all-tags goes with neither TARGET nor --digestfile")
          .with_hint("lay push --all-tags HOST/REPOSITORY");
    require_registry_name(target);
    options.connection = connection.connection();
    if (options.quiet) options.connection.on_silence = nullptr;
    const layerstore::Store store = open_store_with(context, source);
    if (!all_tags) {
      push_one(store, source, target, options);
      return 0;
    }
    for (const std::string& name : tags_of(store, source)) push_one(store, name, "", options);
    return 0;
  });
}

}  // namespace lay::cli
