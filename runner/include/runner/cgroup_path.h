#pragma once

#include <string>
#include <vector>

namespace lay::runner {

/// The folders of a path beneath a hierarchy's root, from the top; a leading "/" is the root. Throws invalid,
/// with a hint, when it is empty, or one of them is "." or "..", or no name.
std::vector<std::string> parse_cgroup_path(const std::string& path);

}  // namespace lay::runner
