#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/unique_fd.h"
#include "runner/spec.h"
#include "security/seccomp.h"

/// The agent that answers the calls which a profile leaves to somebody else (SCMP_ACT_NOTIFY):
/// seccomp_unotify(2); runtime-spec, config-linux.md, "The Container Process State".
namespace lay::runner {

/// What a process needs to hand its filter's descriptor to the agent.
struct SeccompListener {
  UniqueFd socket;     ///< connected to seccomp.listenerPath
  UniqueFd proc;       ///< the host's /proc, in which the process finds its own number
  Json process_state;  ///< the message, but for that number
};

/// In the parent, where the path means what the user meant. `state` is the container's, as runtime.md has it.
/// Empty when the profile names no listener. Throws what keeps it from being reached.
std::optional<SeccompListener> connect_seccomp_listener(const Linux& linux_part, Json state);

/// In the child, which has one thread: as load_seccomp(), and the agent has the descriptor before any other
/// system call is made. Throws when it cannot be handed over.
void load_seccomp_for(const SeccompListener& listener, const SeccompFilter& filter);

}  // namespace lay::runner
