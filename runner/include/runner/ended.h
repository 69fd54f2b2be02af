#pragma once

#include <sys/stat.h>

#include "runner/container.h"

namespace lay::runner {

/// In the mode of a container's folder: that it has auto_remove. So no file has to be read of the others when
/// those are searched that nobody removed.
inline constexpr mode_t kAutoRemoveMark = S_ISVTX;

/// Removes containers with auto_remove that nobody runs any more: whoever ran them was killed, or the machine
/// restarted. What cannot be removed stays.
void sweep_ended(const ContainerStore& store);

}  // namespace lay::runner
