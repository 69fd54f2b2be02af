#pragma once

#include "base/file_lock.h"
#include "base/unique_fd.h"

namespace lay {

/// Locks an open file as FileLock::lock() does, for who waits for the end of something that may take hours:
/// it sleeps in the kernel, tells nobody, and does not see the user's wish to stop.
void await_lock(const UniqueFd& file, LockMode mode);

}  // namespace lay
