#pragma once

#include <sys/types.h>

#include <string>

#include "cgroup/group.h"

namespace lay::test {

/// Moves a process into all groups of a container; 0 is the caller.
inline void attach(const std::string& container_id, pid_t pid) {
  for (const runner::CgroupGroup& group : runner::find_groups(container_id))
    runner::write_group_file(group.dir, "cgroup.procs", std::to_string(pid));
}

}  // namespace lay::test
