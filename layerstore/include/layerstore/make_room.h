#pragma once

#include <functional>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Makes room where not even a name can be removed any more: takes away the layers that only `image`
/// needs and that can be made again of its blobs. False when there are none, when its name leads to another
/// by now, or a writer is at work. `in_use` as for Store::collect().
bool drop_layers_of(const Store& store, const NamedImage& image, const std::function<InUse()>& in_use);

}  // namespace lay::layerstore
