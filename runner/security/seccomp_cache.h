#pragma once

#include <string>

#include "runner/spec.h"
#include "security/seccomp.h"

namespace lay::runner {

/// As compile_seccomp(), which takes libseccomp some 18 ms for an engine's profile: a program that was
/// compiled of the same rules on this kernel by this lay is taken from `folder`, else it is kept there. The
/// folder is made for root alone; one that others could write to is not used, nor is a file that is not
/// whole. Nothing else of the cache is an error. An empty `folder` is none.
SeccompFilter compile_seccomp_cached(const Seccomp& seccomp, const std::string& folder);

}  // namespace lay::runner
