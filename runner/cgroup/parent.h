#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "cgroup/layout.h"

namespace lay::runner {

/// The folder of a parent, "lay" or a path (empty: the root itself), in a hierarchy. What is missing is made
/// and, but for lay's own, marked as lay's to remove. In v2 those of `controllers` that there are are
/// switched on all the way down; in v1's cpuset each folder gets what the one above it has.
UniqueFd make_parent(const CgroupHierarchy& hierarchy, const std::string& path,
                     const std::vector<std::string>& controllers);
/// Removes the folders of the path that are empty and were made by lay, from below.
void remove_parent(const CgroupHierarchy& hierarchy, const std::string& path);

/// Copies cpuset.cpus and cpuset.mems down from `parent` where `dir` has none yet.
void inherit_cpuset(const UniqueFd& parent, const UniqueFd& dir);

}  // namespace lay::runner
