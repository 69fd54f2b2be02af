#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// What of each processor in `folder` (/sys/devices/system/cpu) tells how hot and busy the host is, to be
/// masked; empty where the first one has no such folder.
std::vector<std::string> throttle_paths(const std::string& folder);

}  // namespace lay::runner
