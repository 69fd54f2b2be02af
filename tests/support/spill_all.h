#pragma once

#include <sys/mman.h>

#include "base/spill_memory.h"

namespace lay::test {

inline UniqueFd open_memory_file() {
  return UniqueFd{::memfd_create("spill", MFD_CLOEXEC)};
}

/// With which everything is spilled from the first byte on.
inline Spill spill_all() {
  return {.open_file = open_memory_file, .bound = 0};
}

}  // namespace lay::test
