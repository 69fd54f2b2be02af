#pragma once

#include "base/spill_memory.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// A spill into a file without a name in the store: for what grows with the number of a layer's files.
Spill spill_in(const Store& store);

}  // namespace lay::layerstore
