#pragma once

#include <string>
#include <vector>

#include "runner/spec.h"
#include "security/seccomp.h"

namespace lay::runner {

/// Compiles rules with libseccomp. As runc does: rules that answer what the default does are passed over, and
/// several conditions on one argument are alternatives. Of two answers to a call without conditions the first
/// one counts, and before those with conditions: podman's own profile relies on that. Unlike runc it refuses
/// a call to be forbidden whose name is unknown. Throws unsupported for that, for what this kernel or lay
/// cannot do, and when the library is not there.
SeccompFilter compile_seccomp(const Seccomp& seccomp);

/// Whether an agent is left calls to answer; without, listenerPath is ignored.
bool has_agent(const Seccomp& seccomp);

/// "SECCOMP_FILTER_FLAG_LOG" and the others that a profile may have.
std::vector<std::string> seccomp_flag_names();

}  // namespace lay::runner
