#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace lay::runner {

/// What the kernel shows of a stack of folders in overlay's notation, read-only and without being mounted
/// anywhere: it is gone with the descriptor. A folder may be the upper of a running container: what changes
/// there meanwhile is seen as it was or as it is, or fails with ENOENT or ESTALE.
///   lowers   absolute paths, topmost first, at least two: the kernel takes no fewer without an upper
///   throws   Error with what the kernel said
UniqueFd open_merged_view(const std::vector<std::string>& lowers);

/// What this process mounts from here on nobody else sees, and it ends with the process. `scratch`, a folder
/// of the host, is an empty one in memory for it.
void leave_host_mounts(const std::string& scratch);

}  // namespace lay::runner
