#include "receive/known_blobs.h"

#include "base/error.h"
#include "chunked/chunked_toc.h"
#include "layerstore/layer_pair.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

bool is_good(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (!store.blobs().is_whole(blob)) return false;
  try {
    require_pair(store, blob, diff_id);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt && error.code() != Errc::invalid) throw;
    return false;
  }
}

}  // namespace

KnownBlobs::KnownBlobs(const Store& store) : store_(store) {
  for (const NamedImage& named : store.images().list()) {
    try {
      const Image image = store.load(named.manifest);
      for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i)
        if (store.blobs().has(image.manifest.layers[i].digest))
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
  const auto [good, fresh] = is_good_.try_emplace(diff_id, false);
  if (fresh) good->second = is_good(store_, blob, diff_id);
  if (!good->second) return std::nullopt;
  Descriptor known{
      .media_type = std::string(media_type::layer_type_of(media_type::compression_of(blob.media_type))),
      .digest = blob.digest,
      .size = blob.size,
      .annotations = blob.annotations};
  std::erase_if(known.annotations, [](const auto& annotation) { return !is_of_chunked(annotation.first); });
  return known;
}

}  // namespace lay::layerstore
