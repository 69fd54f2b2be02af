#pragma once

#include <optional>
#include <string>

#include "runner/processes.h"

namespace lay::runner {

/// What /proc says of a process that is still of the container's group, by its id, when everything is read:
/// its number may be a stranger's by then. Empty when it is not. `depth` is as parse_process() has it.
std::optional<ProcessInfo> read_process(pid_t pid, std::size_t depth, const std::string& container_id);

}  // namespace lay::runner
