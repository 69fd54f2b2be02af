#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// A filter that is ready to be loaded.
struct SeccompFilter {
  std::vector<sock_filter> program;  ///< empty: none
  unsigned flags = 0;                ///< of seccomp(2): SECCOMP_FILTER_FLAG_*
};

/// In the parent, since listed rules take a library of the host: the filter of linux_part.seccomp for a
/// process that has these capabilities. `cache` is as compile_seccomp_cached() has it.
SeccompFilter prepare_seccomp(const Linux& linux_part, const Capabilities& capabilities,
                              const std::string& cache = {});

/// In the child, last. Needs no_new_privs or CAP_SYS_ADMIN. A filter that cannot be loaded is an error, never
/// a warning. `more_flags` are added to the filter's; returns what seccomp(2) does: with
/// SECCOMP_FILTER_FLAG_NEW_LISTENER a descriptor.
int load_seccomp(const SeccompFilter& filter, unsigned more_flags = 0);

}  // namespace lay::runner
