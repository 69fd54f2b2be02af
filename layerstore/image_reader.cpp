#include "image_reader.h"

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

/// The manifest that `descriptor` leads to: itself, or through indexes the one for this machine.
Descriptor resolve(const ReadDocument& read, const Descriptor& descriptor, int depth = 0) {
  if (!media_type::is_index(descriptor.media_type)) return descriptor;
  if (depth == kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes are nested deeper than {}", kMaxIndexDepth);
  const std::string text = read_document(read, descriptor);
  classify_document(text, descriptor.media_type);
  const Index index = parse_index(text);
  return resolve(read, choose_platform(index, host_platform()), depth + 1);
}

}  // namespace

Image read_image(const ReadDocument& read, const Descriptor& root) {
  const Descriptor descriptor = resolve(read, root);
  const std::string text = read_document(read, descriptor);
  classify_document(text, descriptor.media_type);
  Manifest manifest = parse_manifest(text);
  if (!media_type::is_config(manifest.config.media_type))
    throw Error::make(Errc::unsupported, "the config is '{}', so this is no container image",
                      manifest.config.media_type);
  ImageConfig config = parse_image_config(read_document(read, manifest.config));
  if (config.diff_ids.size() != manifest.layers.size())
    throw Error::make(Errc::invalid, "{} layers, but {} diff_ids", manifest.layers.size(),
                      config.diff_ids.size());
  return {.descriptor = descriptor, .manifest = std::move(manifest), .config = std::move(config)};
}

}  // namespace lay::layerstore
