#pragma once

#include <sys/stat.h>

#include <chrono>
#include <string>

#include "runner/container.h"

namespace lay::runner {

/// In the mode of a container's folder: that it has auto_remove. So no file has to be read of the others when
/// those are searched that nobody removed.
inline constexpr mode_t kAutoRemoveMark = S_ISVTX;

/// Removes containers with auto_remove that nobody runs any more: whoever ran them was killed, or the machine
/// restarted. What cannot be removed stays; what has outlived its supervisor runs on.
void sweep_ended(const ContainerStore& store);
/// As sweep_ended(), by a process of its own where there is something to remove: the caller waits for it no
/// longer than `patience`, whatever keeps it.
void sweep_ended_aside(const ContainerStore& store, std::chrono::milliseconds patience);
/// The same for the one that has `name` alone, which another is about to get.
void sweep_ended_named(const ContainerStore& store, const std::string& name);

}  // namespace lay::runner
