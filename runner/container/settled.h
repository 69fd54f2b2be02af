#pragma once

#include <optional>

#include "base/file_lock.h"
#include "process/first_process.h"
#include "runner/container.h"

namespace lay::runner {

/// A container whose settings may be changed: what is written now neither misses a start nor is missed by it.
/// One of the two is there.
struct Settled {
  std::optional<FileLock> at_rest;    ///< it does not run, and nobody starts it while this is held
  std::optional<FirstProcess> first;  ///< it runs, with the settings of before
};

/// Waits while somebody starts or ends it. Throws not_found when it is removed, busy after half a minute, or
/// when it has outlived its supervisor and its first process.
Settled settle(const Container& container);

}  // namespace lay::runner
