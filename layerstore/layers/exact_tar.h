#pragma once

#include "layerstore/layer_store.h"

namespace lay::layerstore {

/// Whether the layer has a tar, and that is what the diff_id says: all of it is read.
bool has_exact_tar(const LayerStore& layers, const Digest& diff_id);

}  // namespace lay::layerstore
