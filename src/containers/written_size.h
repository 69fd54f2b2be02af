#pragma once

#include <cstdint>

#include "runner/container.h"

namespace lay::cli {

/// Bytes on disk that the container has written, its log included.
std::uint64_t written_size(const runner::Container& container);

}  // namespace lay::cli
