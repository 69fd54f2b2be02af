#pragma once

#include "runner/spec.h"

namespace lay::runner {

/// In the child, last: loads the profile (the built-in one was compiled when lay was built). Needs
/// no_new_privs or CAP_SYS_ADMIN. A filter that cannot be loaded is an error, never a warning.
void load_seccomp(SeccompProfile profile);

}  // namespace lay::runner
