#pragma once

#include <string>
#include <vector>

#include "layerstore/apply.h"

namespace lay::layerstore {

struct UnpackedLayer {
  ApplyStats stats;
  std::vector<std::string> entered;  ///< see read_entered()
};

/// As apply_layer().
UnpackedLayer unpack_layer(ByteSource& tar, const UniqueFd& target, const ApplyOptions& options = {});

}  // namespace lay::layerstore
