#pragma once

#include "runner/container.h"
#include "runner/lifecycle.h"

namespace lay::runner {

/// As exec_in(), by the runtime that the container runs under: which relays a terminal itself. `process`:
/// whose user may still be a name.
int exec_delegated(const Container& container, Process process, const ExecRequest& request);

}  // namespace lay::runner
