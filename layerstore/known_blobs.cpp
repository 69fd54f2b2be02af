#include "known_blobs.h"

#include "base/error.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

KnownBlobs::KnownBlobs(const Store& store) : store_(store) {
  for (const NamedImage& named : store.images().list()) {
    try {
      const Image image = store.load(named.manifest);
      for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i)
        blobs_.emplace(image.config.diff_ids[i], image.manifest.layers[i]);
    } catch (const Error&) {
      continue;  // what cannot be read is of no use here, and fsck's to name
    }
  }
}

std::optional<Descriptor> KnownBlobs::find(const Digest& diff_id) const {
  const auto found = blobs_.find(diff_id);
  if (found == blobs_.end()) return std::nullopt;
  const Descriptor& blob = found->second;
  const auto [whole, fresh] = is_whole_.try_emplace(blob.digest, false);
  if (fresh) whole->second = store_.blobs().is_whole(blob);
  if (!whole->second) return std::nullopt;
  return Descriptor{
      .media_type = std::string(media_type::layer_type_of(media_type::compression_of(blob.media_type))),
      .digest = blob.digest,
      .size = blob.size};
}

}  // namespace lay::layerstore
