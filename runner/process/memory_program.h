#pragma once

#include "base/unique_fd.h"

namespace lay::runner {

/// A file in memory that can be executed, memfd_create(2), closed by execve(2).
UniqueFd make_memory_program(const char* name);
/// From here on nobody writes to it: F_SEAL_WRITE and its like, fcntl(2).
void seal(const UniqueFd& program);

}  // namespace lay::runner
