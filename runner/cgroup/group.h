#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "cgroup/layout.h"

namespace lay::runner {

/// A container's folder in one hierarchy.
struct CgroupGroup {
  CgroupHierarchy hierarchy;
  UniqueFd dir;
};

/// Makes lay/<id> beneath the root of the hierarchy. In v2 the controllers that `lay` can use are switched on
/// for it; in v1's cpuset the processors and memory nodes of the parent are copied, without which no process
/// may enter. Throws exists when the group is there.
CgroupGroup make_group(const CgroupHierarchy& hierarchy, const std::string& container_id);
/// The groups of this container, in whatever hierarchies it has one.
std::vector<CgroupGroup> find_groups(const std::string& container_id);

/// Writes `text` to the group's file in one write(2), as cgroup files need it.
void write_group_file(const UniqueFd& dir, const std::string& name, const std::string& text);

/// The processes in the first of the groups and in all beneath it.
std::vector<pid_t> list_group_processes(const std::vector<CgroupGroup>& groups);

/// SIGKILL to every process in the groups, children included. By cgroup.kill where a group has it (v2,
/// Linux 5.14); elsewhere group by group, frozen meanwhile where there is a freezer, until none is left.
void kill_groups(const std::vector<CgroupGroup>& groups);
/// The second way of kill_groups alone.
void kill_processes_one_by_one(const std::vector<CgroupGroup>& groups);

/// Removes lay/<id> and all beneath it from the hierarchy, and "lay" too when it is then empty. A group stays
/// busy until its last process is gone, so this waits, up to `limit`, and then
/// throws busy. Absent is success.
void remove_group(const CgroupHierarchy& hierarchy, const std::string& container_id,
                  std::chrono::milliseconds limit);

}  // namespace lay::runner
