#include <set>

#include "base/error.h"
#include "layerstore/ingest.h"
#include "layerstore/media_types.h"
#include "layerstore/store.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

struct Reachable {
  std::set<Digest> blobs;
  std::set<Digest> layers;  ///< diff_ids
};

void mark(const BlobStore& blobs, const Descriptor& descriptor, int depth, Reachable& found);

void mark_manifest(const BlobStore& blobs, const std::string& text, Reachable& found) {
  const Manifest manifest = parse_manifest(text);
  found.blobs.insert(manifest.config.digest);
  for (const Descriptor& layer : manifest.layers) found.blobs.insert(layer.digest);
  if (!media_type::is_config(manifest.config.media_type) || !blobs.has(manifest.config.digest)) return;
  const ImageConfig config = parse_image_config(blobs.read(manifest.config.digest));
  found.layers.insert(config.diff_ids.begin(), config.diff_ids.end());
}

void mark_index(const BlobStore& blobs, const std::string& text, int depth, Reachable& found) {
  if (depth == kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes are nested deeper than {}", kMaxIndexDepth);
  for (const Descriptor& entry : parse_index(text).manifests) mark(blobs, entry, depth + 1, found);
}

/// Marks what `descriptor` leads to. A blob that is absent leads nowhere: of an index, usually only the
/// manifest for one platform was pulled. One that is there but cannot be read
/// might lead anywhere: that throws.
void mark(const BlobStore& blobs, const Descriptor& descriptor, int depth, Reachable& found) {
  const bool manifest = media_type::is_manifest(descriptor.media_type);
  const bool index = media_type::is_index(descriptor.media_type);
  const bool fresh = found.blobs.insert(descriptor.digest).second;
  if (!fresh || (!manifest && !index) || !blobs.has(descriptor.digest)) return;
  const std::string text = blobs.read(descriptor.digest);
  if (manifest) {
    mark_manifest(blobs, text, found);
  } else {
    mark_index(blobs, text, depth, found);
  }
}

Reachable find_reachable(const Store& store, const InUse& in_use) {
  Reachable found{.layers = in_use.layers};
  for (const Digest& manifest : in_use.manifests)
    if (found.blobs.insert(manifest).second && store.blobs().has(manifest))
      mark_manifest(store.blobs(), store.blobs().read(manifest), found);
  for (const Descriptor& root : store.images().roots()) mark(store.blobs(), root, 0, found);
  return found;
}

}  // namespace

CollectResult Store::collect(const InUse& in_use) const {
  Ingest::sweep(*root_);
  const auto alone = FileLock::try_acquire(*root_, kStoreLock, LockMode::exclusive);
  if (!alone) return {};
  const Reachable keep = with_context("nothing was collected", [&] { return find_reachable(*this, in_use); });

  CollectResult result;
  for (const Digest& diff_id : layers_->list()) {
    if (keep.layers.contains(diff_id)) continue;
    layers_->remove(diff_id);
    ++result.layers;
  }
  for (const Digest& digest : blobs_->list()) {
    if (keep.blobs.contains(digest)) continue;
    result.bytes += blobs_->size(digest).value_or(0);
    blobs_->remove(digest);
    ++result.blobs;
  }
  return result;
}

}  // namespace lay::layerstore
