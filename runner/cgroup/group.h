#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "cgroup/group_name.h"
#include "cgroup/layout.h"

namespace lay::runner {

class LimitJournal;

/// A container's folder in one hierarchy.
struct CgroupGroup {
  CgroupHierarchy hierarchy;
  UniqueFd dir;
  LimitJournal* journal = nullptr;  ///< notes what limits were before others are set; not owned
};

/// Makes PARENT/ID beneath the root of the hierarchy. In v2 those of `controllers` that there are are
/// switched on for it; in v1's cpuset the processors and memory nodes of the parent are copied, without which
/// no process may enter. Throws exists when the group is there.
CgroupGroup make_group(const CgroupHierarchy& hierarchy, const CgroupName& name,
                       const std::vector<std::string>& controllers);
/// Switches v2's controllers on for a group that there is already.
void enable_controllers(const CgroupGroup& group, const CgroupName& name,
                        const std::vector<std::string>& controllers);
/// The groups of this container, in whatever hierarchies it has one.
std::vector<CgroupGroup> find_groups(const CgroupName& name);

/// Whether files of a group that is removed meanwhile answer so.
bool is_group_gone(const Error& error);

/// Without the line end.
std::string read_group_file(const UniqueFd& dir, const std::string& name);
/// Writes `text` to the group's file in one write(2), as cgroup files need it.
void write_group_file(const UniqueFd& dir, const std::string& name, const std::string& text);
/// The same with several texts, each of which the file takes by itself.
void write_group_lines(const UniqueFd& dir, const std::string& name, const std::vector<std::string>& lines);

/// The processes in the group and in all beneath it.
std::vector<pid_t> list_group_processes(const UniqueFd& dir);
/// Those of the first of the groups.
std::vector<pid_t> list_group_processes(const std::vector<CgroupGroup>& groups);

/// SIGKILL to every process in the groups, children included. By cgroup.kill where a group has it (v2,
/// Linux 5.14); elsewhere group by group, frozen meanwhile where there is a freezer, until none is left.
void kill_groups(const std::vector<CgroupGroup>& groups);
/// The second way of kill_groups alone.
void kill_processes_one_by_one(const std::vector<CgroupGroup>& groups);

/// Removes PARENT/ID and all beneath it from the hierarchy, and of the parent what is then empty and lay's
/// own. A group stays busy until its last process is gone, so this waits, up to `limit`, and then throws
/// busy. Absent is success.
void remove_group(const CgroupHierarchy& hierarchy, const CgroupName& name, std::chrono::milliseconds limit);

/// The group of v2's hierarchy in which a process is, for ChildProcess::clone(). Throws not_found when there
/// is none.
UniqueFd open_unified_group_of(pid_t pid);

}  // namespace lay::runner
