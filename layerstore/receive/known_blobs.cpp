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

/// What a manifest says of a blob and its tar alone.
Descriptor as_listed(const Descriptor& blob) {
  Descriptor listed{
      .media_type = std::string(media_type::layer_type_of(media_type::compression_of(blob.media_type))),
      .digest = blob.digest,
      .size = blob.size,
      .annotations = blob.annotations};
  std::erase_if(listed.annotations, [](const auto& annotation) { return !is_of_chunked(annotation.first); });
  return listed;
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

std::optional<Descriptor> KnownBlobs::find(const Digest& diff_id,
                                           const std::function<bool(const Descriptor& blob)>& fits) const {
  const auto [first, last] = blobs_.equal_range(diff_id);
  for (auto known = first; known != last; ++known) {
    const Descriptor& blob = known->second;
    if (fits && !fits(blob)) continue;
    const auto [good, fresh] = is_good_.try_emplace({diff_id, blob.digest}, false);
    if (fresh) good->second = is_good(store_, blob, diff_id);
    if (good->second) return as_listed(blob);
  }
  return std::nullopt;
}

}  // namespace lay::layerstore
