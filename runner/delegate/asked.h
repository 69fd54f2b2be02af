#pragma once

#include "runner/container.h"

namespace lay::runner {

/// Throws unsupported, naming the flag, for what is asked for and the container's runtime would leave out in
/// silence, or fail at without words.
void check_asked(const ContainerConfig& config);

}  // namespace lay::runner
