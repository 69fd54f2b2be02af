#pragma once

#include <cstddef>

namespace lay {

/// Lower folders that one overlay takes: OVL_MAX_STACK of the kernel.
constexpr std::size_t kMostLowers = 500;

}  // namespace lay
