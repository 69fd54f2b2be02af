#pragma once

#include <array>
#include <cstdint>

#include "security/seccomp.h"

namespace lay::runner {

/// Whether the kernel would let a call of this architecture pass (SECCOMP_RET_ALLOW or _LOG): the program run
/// over it as Documentation/networking/filter.rst says. A filter without program lets all pass; one with an
/// instruction that is not known here, nothing.
bool lets_pass(const SeccompFilter& filter, long number, const std::array<std::uint64_t, 6>& args = {});

}  // namespace lay::runner
