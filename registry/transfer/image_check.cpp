#include "transfer/image_check.h"

#include "base/error.h"
#include "base/text.h"
#include "layerstore/media_types.h"

namespace lay::registry {

using layerstore::Descriptor;
using layerstore::ImageConfig;
using layerstore::Manifest;
using layerstore::Platform;

void check_manifest(const Manifest& manifest) {
  if (!layerstore::media_type::is_config(manifest.config.media_type))
    throw Error::make(Errc::unsupported, "not a container image: its config is '{}'",
                      printable(manifest.config.media_type));
  for (const Descriptor& layer : manifest.layers) layerstore::media_type::compression_of(layer.media_type);
}

void check_config(const ImageConfig& config, const Manifest& manifest, const Platform& wanted) {
  if (config.diff_ids.size() != manifest.layers.size())
    throw Error::make(Errc::invalid, "the config lists {} layers, the manifest {}", config.diff_ids.size(),
                      manifest.layers.size());
  layerstore::require_platform(config, wanted);
}

}  // namespace lay::registry
