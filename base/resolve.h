#pragma once

#include <sys/types.h>

#include <string>

#include "base/unique_fd.h"

namespace lay::sys {

/// Where a walk may lead, as openat2(2) has it: RESOLVE_BENEATH or RESOLVE_IN_ROOT.
enum class Bounds { beneath, in_root };

/// openat2(2) with the bounds and RESOLVE_NO_MAGICLINKS; where the kernel or a seccomp filter does not have
/// it (ENOSYS), the same by open_by_walk(). Returns the descriptor, or -1 and errno. Magic links give ELOOP.
int open_resolved(const UniqueFd& dir, const std::string& path, int flags, mode_t mode, Bounds bounds);

/// What openat2(2) does, component by component with openat(2). Every folder on the way is held, so ".." is
/// the folder it came from and no rename leads out of `dir`.
int open_by_walk(const UniqueFd& dir, const std::string& path, int flags, mode_t mode, Bounds bounds);

}  // namespace lay::sys
