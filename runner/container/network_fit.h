#pragma once

#include "runner/container.h"

namespace lay::runner {

/// What a network that is not its own leaves nothing to: its namespace, and the settings that would be the
/// host's.
void fit_to_network(ContainerConfig& config);

}  // namespace lay::runner
