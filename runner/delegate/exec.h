#pragma once

#include "runner/container.h"
#include "runner/lifecycle.h"

namespace lay::runner {

/// As exec_in(), by the runtime that the container runs under: which relays a terminal itself. `process`:
/// whose user may still be a name.
AttachedEnd exec_delegated(const Container& container, Process process, const ExecRequest& request);
/// As exec_detached(), likewise.
void exec_delegated_detached(const Container& container, Process process);

}  // namespace lay::runner
