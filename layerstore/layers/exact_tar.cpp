#include "layers/exact_tar.h"

#include "base/error.h"
#include "base/stream.h"
#include "layers/layer_stream.h"
#include "layerstore/damage.h"

namespace lay::layerstore {

bool has_exact_tar(const LayerStore& layers, const Digest& diff_id) {
  try {
    const OpenLayer layer = layers.open(diff_id);
    if (layer.form != LayerForm::erofs) return false;
    FdSource source(layer.tar);
    HashingSource hashed(source, diff_id.algorithm());
    drain(hashed);
    return hashed.digest() == diff_id;
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return false;
  }
}

}  // namespace lay::layerstore
