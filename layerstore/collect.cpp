#include "base/error.h"
#include "layerstore/ingest.h"
#include "layerstore/store.h"
#include "reachable.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

Reachable find_reachable(const Store& store, const InUse& in_use) {
  Reachable found{.layers = in_use.layers};
  for (const Digest& manifest : in_use.manifests) mark_reachable_manifest(store.blobs(), manifest, found);
  for (const Descriptor& root : store.images().roots()) mark_reachable(store.blobs(), root, found);
  // Last: what is noted already is not followed
  found.blobs.insert(in_use.blobs.begin(), in_use.blobs.end());
  return found;
}

}  // namespace

CollectResult Store::collect(const std::function<InUse()>& in_use) const {
  Ingest::sweep(*root_);
  const auto alone = FileLock::try_acquire(*root_, kStoreLock, LockMode::exclusive);
  if (!alone) return {};
  const InUse needed = in_use();
  if (needed.everything) return {};
  const Reachable keep = with_context("nothing was collected", [&] { return find_reachable(*this, needed); });

  CollectResult result{.trash = Trash(*root_)};
  Trash& trash = *result.trash;
  for (const Digest& diff_id : layers_->list()) {
    if (keep.layers.contains(diff_id)) continue;
    layers_->remove(diff_id, trash);
    ++result.layers;
  }
  for (const Digest& digest : blobs_->list()) {
    if (keep.blobs.contains(digest)) continue;
    result.bytes += blobs_->size(digest).value_or(0);
    blobs_->remove(digest, trash);
    ++result.blobs;
  }
  absent_->keep_only([&](const Digest& blob) { return keep.blobs.contains(blob) && !blobs_->has(blob); });
  return result;
}

}  // namespace lay::layerstore
