#pragma once

#include <vector>

#include "cgroup/group.h"

namespace lay::runner {

// By v2's cgroup.freeze where a group has it, whose frozen processes can still be killed; else by v1's
// freezer controller (cgroup-v2.rst "Core Interface Files", cgroup-v1/freezer-subsystem.rst).

/// Returns when every process in the groups stands still. One that does not within 5 s (it waits for a disk)
/// leaves all running and throws busy; where there is no freezer, unsupported; invalid when the caller is
/// one.
void freeze_groups(const std::vector<CgroupGroup>& groups);
/// Also when they are not frozen, or are gone.
void thaw_groups(const std::vector<CgroupGroup>& groups);
/// False where there is no freezer, or no group any more.
bool are_frozen(const std::vector<CgroupGroup>& groups);

}  // namespace lay::runner
