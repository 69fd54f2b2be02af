#pragma once

#include <functional>
#include <string>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Makes room where not even a name can be removed any more: takes away the layers that only the image `name`
/// needs and that can be made again of its blobs. False when there are none, or a writer is at work. `in_use`
/// as for Store::collect().
bool drop_layers_of(const Store& store, const std::string& name, const std::function<InUse()>& in_use);

}  // namespace lay::layerstore
