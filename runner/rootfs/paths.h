#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace lay::runner {

/// Covers each path inside `root` so that nothing can be read from it: files by the container's /dev/null,
/// folders by an empty read-only tmpfs. A path that is not there is skipped
/// (kernels differ in what they have). `label` is linux.mountLabel.
void mask_paths(const UniqueFd& root, const std::vector<std::string>& paths, const std::string& label);

/// Binds each path inside `root`, with all below it, read-only onto itself. Absent paths are skipped.
void make_paths_readonly(const UniqueFd& root, const std::vector<std::string>& paths);

}  // namespace lay::runner
