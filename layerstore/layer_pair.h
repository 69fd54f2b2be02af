#pragma once

#include "layerstore/store.h"

namespace lay::layerstore {

/// Throws corrupt when the stored `blob` is not the layer `diff_id`, invalid when it is not compressed as it
/// says. Cheap for what was seen before. The blob is whole; the caller holds Store::share().
void require_pair(const Store& store, const Descriptor& blob, const Digest& diff_id);

}  // namespace lay::layerstore
