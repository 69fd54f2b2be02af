#include "base/error.h"
#include "layer_stream.h"
#include "layerstore/commit.h"

namespace lay::layerstore {

void receive_layer(const Store& store, ByteSource& compressed, const Descriptor& blob,
                   const Digest& diff_id) {
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    ExactSource exact(compressed, blob.size);
    BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
    TeeSource stored(exact, writer);
    if (store.layers().has(diff_id)) {
      hash_verified(stored, blob, diff_id, [&] { writer.verify(blob); });
      writer.commit(blob);
      return;
    }
    LayerWriter layer = store.layers().begin(diff_id.algorithm());
    unpack_verified(stored, blob, diff_id, layer, [&] { writer.verify(blob); });
    // Both are verified now. The blob first: a layer can be made again from its
    // blob, not the other way round.
    writer.commit(blob);
    layer.commit(diff_id);
  });
}

}  // namespace lay::layerstore
