#pragma once

#include <linux/filter.h>

#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// A filter that is ready to be loaded.
struct SeccompFilter {
  std::vector<sock_filter> program;  ///< empty: none
};

/// In the parent: the filter of `profile` for a process that has these capabilities.
SeccompFilter prepare_seccomp(SeccompProfile profile, const Capabilities& capabilities);

/// In the child, last. Needs no_new_privs or CAP_SYS_ADMIN. A filter that cannot be loaded is an error, never
/// a warning.
void load_seccomp(const SeccompFilter& filter);

}  // namespace lay::runner
