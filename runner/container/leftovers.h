#pragma once

#include <string>

#include "runner/container.h"

namespace lay::runner {

/// Takes away what a supervisor that was killed could not: its container's first process, if that still
/// lives, what another runtime keeps of it, cgroups. To be called by who holds the container's lock.
void clear_leftovers(const std::string& run, const Container& container);

}  // namespace lay::runner
