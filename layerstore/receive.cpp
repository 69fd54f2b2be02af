#include "base/error.h"
#include "layer_pair.h"
#include "layer_stream.h"
#include "layerstore/commit.h"

namespace lay::layerstore {

void require_pair(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (store.layers().is_from(diff_id, blob)) return;
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    const UniqueFd file = store.blobs().open(blob.digest);
    FdSource stored(file);
    verify_diff_id(stored, blob, diff_id, store.layers().limits());
  });
  if (store.layers().has(diff_id)) store.layers().note_blob(diff_id, blob);
}

void receive_layer(const Store& store, ByteSource& compressed, const Descriptor& blob,
                   const Digest& diff_id) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    ExactSource exact(compressed, blob.size);
    BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
    TeeSource stored(exact, writer);
    if (store.layers().has(diff_id)) {
      hash_verified(stored, blob, diff_id, store.layers().limits(), [&] { writer.verify(blob); });
      writer.commit(blob);
      store.layers().note_blob(diff_id, blob);
      return;
    }
    LayerWriter layer = store.layers().begin(diff_id.algorithm());
    unpack_verified(stored, blob, diff_id, store.layers().limits(), layer, [&] { writer.verify(blob); });
    // Both are verified now. The blob first: a layer can be made again from its
    // blob, not the other way round.
    writer.commit(blob);
    layer.note_blob(blob);
    layer.commit(diff_id);
  });
}

void ensure_layer(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  store.layers().ensure(diff_id, blob, store.blobs());
  if (store.layers().is_from(diff_id, blob) || !store.blobs().is_whole(blob)) return;
  require_pair(store, blob, diff_id);
}

bool is_layer_stored(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (!store.blobs().is_whole(blob)) return false;
  if (!store.layers().has(diff_id))
    store.layers().ensure(diff_id, blob, store.blobs());
  else
    require_pair(store, blob, diff_id);
  return true;
}

}  // namespace lay::layerstore
