#include <fmt/format.h>

#include <numeric>

#include "base/text.h"
#include "command.h"
#include "options.h"
#include "output/listing.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

/// A stored name as its two columns. The tag is behind the last ':' that follows the last '/'.
struct SplitName {
  std::string repository;
  std::string tag;
};

SplitName split_name(const std::string& name) {
  const std::size_t digest = name.find('@');
  if (digest != std::string::npos) return {name.substr(0, digest), "<none>"};
  const std::size_t slash = name.rfind('/');
  const std::size_t colon = name.rfind(':');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return has_tag ? SplitName{name.substr(0, colon), name.substr(colon + 1)} : SplitName{name, "latest"};
}

std::uint64_t stored_size(const layerstore::Image& image) {
  return std::accumulate(
      image.manifest.layers.begin(), image.manifest.layers.end(), std::uint64_t{0},
      [](std::uint64_t sum, const layerstore::Descriptor& layer) { return sum + layer.size; });
}

Json row_of(const std::string& name, const layerstore::Image& image, bool whole_ids) {
  const SplitName parts = split_name(name);
  const auto created = parse_time(image.config.created);
  return Json{
      {"Repository", parts.repository},
      {"Tag", parts.tag},
      {"Names", name},
      {"ID", whole_ids ? image.id().to_string() : image.id().short_hex()},
      {"Digest", image.descriptor.digest.to_string()},
      {"CreatedAt", image.config.created},
      {"Created", created ? format_age(*created, std::chrono::system_clock::now()) : "unknown"},
      {"Size", format_size(stored_size(image))},
      {"Bytes", stored_size(image)},
  };
}

}  // namespace

int command_images(const Context& context, const Arguments& arguments) {
  bool quiet = false;
  bool whole_ids = false;
  std::string format;
  std::string wanted;
  Parser parser("images", "[flags] [REPOSITORY]",
                "Lists images. SIZE is what the compressed layers take in the store.");
  parser.add_flag("-q,--quiet", quiet, "image ids only");
  parser.add_flag("--no-trunc", whole_ids, "whole ids");
  parser.add_option("--format", format, "json, jsonl, or a template: '{{.Repository}}:{{.Tag}}'")
      .type_name("FORMAT");
  parser.add_option("repository", wanted, "only images of this repository");
  parser.parse(arguments);

  const auto store = open_existing_store(context);
  std::vector<Json> rows;
  for (const layerstore::NamedImage& named :
       store ? store->images().list() : std::vector<layerstore::NamedImage>{}) {
    const SplitName parts = split_name(named.name);
    if (!wanted.empty() && wanted != parts.repository && wanted != named.name) continue;
    try {
      rows.push_back(row_of(named.name, store->load(named.manifest), whole_ids));
    } catch (const Error& error) {  // one damaged image must not hide the others
      print_error(fmt::format("images: {}: {}", printable(named.name), error.message()), error.hint());
    }
  }
  if (quiet) format = "{{.ID}}";
  print_listing(rows,
                {{"REPOSITORY", "Repository"},
                 {"TAG", "Tag"},
                 {"IMAGE ID", "ID"},
                 {"CREATED", "Created"},
                 {"SIZE", "Size"}},
                format);
  return 0;
}

}  // namespace lay::cli
