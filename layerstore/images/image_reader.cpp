#include "images/image_reader.h"

#include <utility>

#include "base/error.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

std::string read_document(const ReadDocument& read, const Descriptor& descriptor) {
  std::string text = read(descriptor);
  if (text.size() != descriptor.size)
    throw Error::make(Errc::corrupt, "blob {}: got {} bytes, expected {}", descriptor.digest.to_string(),
                      text.size(), descriptor.size);
  return text;
}

struct Resolved {
  Descriptor manifest;
  bool is_guess = false;  ///< of an index that tells no platforms
};

/// The manifest that `root` leads to: itself, or through indexes the one for `wanted`.
Resolved resolve(const ReadDocument& read, const Descriptor& root, const Platform& wanted) {
  Resolved found{.manifest = root};
  for (int depth = 0; media_type::is_index(found.manifest.media_type); ++depth) {
    if (depth == kMaxIndexDepth)
      throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep", kMaxIndexDepth);
    const std::string text = read_document(read, found.manifest);
    classify_document(text, found.manifest.media_type);
    found.manifest = choose_platform(parse_index(text), wanted);
    found.is_guess = !found.manifest.platform;
  }
  return found;
}

}  // namespace

Image read_image(const ReadDocument& read, const Descriptor& root, const Platform& wanted) {
  const auto [descriptor, is_guess] = resolve(read, root, wanted);
  const std::string text = read_document(read, descriptor);
  classify_document(text, descriptor.media_type);
  Manifest manifest = parse_manifest(text);
  if (!media_type::is_config(manifest.config.media_type))
    throw Error::make(Errc::unsupported, "the config is '{}', so this is no container image",
                      manifest.config.media_type);
  ImageConfig config = parse_image_config(read_document(read, manifest.config));
  if (is_guess) require_platform(config, wanted);
  if (config.diff_ids.size() != manifest.layers.size())
    throw Error::make(Errc::invalid, "{} layers, but {} diff_ids", manifest.layers.size(),
                      config.diff_ids.size());
  return {.descriptor = descriptor, .manifest = std::move(manifest), .config = std::move(config)};
}

}  // namespace lay::layerstore
