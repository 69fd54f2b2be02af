#include "base/error.h"
#include "base/syscalls.h"
#include "house/reachable.h"
#include "images/annotations.h"
#include "images/recompressed_blobs.h"
#include "layerstore/ingest.h"
#include "layerstore/make_room.h"
#include "layerstore/store.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

bool is_named(const Descriptor& root, const std::string& name) {
  const auto found = root.annotations.find(kRefName);
  return found != root.annotations.end() && found->second == name;
}

/// By all names but `without`.
Reachable find_reachable(const Store& store, const InUse& in_use, const std::string& without = {}) {
  Reachable found{.layers = in_use.layers};
  for (const Digest& manifest : in_use.manifests) mark_reachable_manifest(store.blobs(), manifest, found);
  for (const Descriptor& root : store.images().roots())
    if (without.empty() || !is_named(root, without)) mark_reachable_entry(store.blobs(), root, found);
  // Last: what is noted already is not followed
  found.blobs.insert(in_use.blobs.begin(), in_use.blobs.end());
  return found;
}

}  // namespace

CollectResult Store::collect(const std::function<InUse()>& in_use) const {
  Ingest::sweep(*root_);
  const auto alone = FileLock::try_acquire(*root_, kStoreLock, LockMode::exclusive);
  if (!alone) return {.collecting = Collecting::gave_way};
  const InUse needed = in_use();
  if (needed.everything) return {.collecting = Collecting::unknown};
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
  RecompressedBlobs(*root_, *blobs_).keep_only([&](const Digest& blob) { return keep.blobs.contains(blob); });
  return result;
}

bool drop_layers_of(const Store& store, const NamedImage& image, const std::function<InUse()>& in_use) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const auto alone = FileLock::try_acquire(root, kStoreLock, LockMode::exclusive);
  const auto manifest = alone ? store.images().find(image.name) : std::nullopt;
  if (!manifest || manifest->digest != image.manifest.digest) return false;
  const InUse needed = in_use();
  if (needed.everything) return false;
  const Reachable keep = find_reachable(store, needed, image.name);
  const Image loaded = store.load(*manifest);
  bool are_some = false;
  for (std::size_t i = 0; i < loaded.config.diff_ids.size(); ++i) {
    const Descriptor& blob = loaded.manifest.layers[i];
    const Digest& diff_id = loaded.config.diff_ids[i];
    if (keep.layers.contains(diff_id) || !store.layers().has(diff_id) ||
        store.blobs().size(blob.digest) != blob.size)
      continue;
    store.layers().remove(diff_id);
    are_some = true;
  }
  if (are_some) sys::syncfs(root);  // btrfs counts what is removed as free only then
  return are_some;
}

}  // namespace lay::layerstore
