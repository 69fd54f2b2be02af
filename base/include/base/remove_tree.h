#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lay {

/// Removes `name` in `dir` with everything below it. Works by descriptors, follows no symlink, and never
/// enters another file system: a mount point found inside is an error (busy), nothing behind it is touched.
/// Absent is success.
void remove_tree(const UniqueFd& dir, const std::string& name);

}  // namespace lay
