#pragma once

#include <cstdint>

#include "runner/container.h"

namespace lay::cli {

/// Bytes on disk that the container has written to its root file system.
std::uint64_t written_size(const runner::Container& container);

}  // namespace lay::cli
