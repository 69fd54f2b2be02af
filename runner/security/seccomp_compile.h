#pragma once

#include "runner/spec.h"
#include "security/seccomp.h"

namespace lay::runner {

/// Compiles rules with libseccomp. As runc does: rules that answer what the default does are passed over, and
/// several conditions on one argument are alternatives. Of two answers to a call without conditions the first
/// one counts, and before those with conditions: podman's own profile relies on that. Unlike runc it refuses
/// a call to be forbidden whose name is unknown. Throws unsupported for that, for what this kernel or lay
/// cannot do, and when the library is not there.
SeccompFilter compile_seccomp(const Seccomp& seccomp);

}  // namespace lay::runner
