#pragma once

#include "base/spill_memory.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// A spill into a file without a name in the store.
Spill spill_in(const Store& store);

}  // namespace lay::layerstore
