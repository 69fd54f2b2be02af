#pragma once

#include <string>
#include <vector>

#include "runner/processes.h"

namespace lay::cli {

/// Prints processes as top does. `words` name the columns: podman's ("pid comm", "pid,comm"), or ps's where
/// they are simple ("-eo pid,comm", "-ef", "aux"); none is podman's default. `format` is as print_listing()
/// has it. Throws invalid, with those that there are, for a column that there is not.
void print_processes(const std::vector<runner::ProcessInfo>& processes, std::vector<std::string> words,
                     const std::string& format);

}  // namespace lay::cli
