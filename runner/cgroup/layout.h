#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lay::runner {

enum class CgroupVersion { v1, v2 };

/// One cgroup hierarchy of this machine.
struct CgroupHierarchy {
  CgroupVersion version = CgroupVersion::v1;
  /// What /proc/self/cgroup calls it: "cpu,cpuacct", "name=systemd"; empty for v2.
  std::string name;
  /// Controllers by name; of v2 those that its root offers (cgroup.controllers).
  std::vector<std::string> controllers;
  std::string mount_point;  ///< absolute; empty when it is mounted nowhere

  bool has(std::string_view controller) const;
};

/// The hierarchies that /proc/<pid>/cgroup lists ("4:memory:/path", "0::/path"), without mount points and
/// without v2's controllers. Malformed lines throw invalid. cgroups(7).
std::vector<CgroupHierarchy> parse_proc_cgroup(std::string_view text);

/// Puts in where each is mounted, from /proc/<pid>/mountinfo (proc(5)); the first mount wins.
void add_mount_points(std::vector<CgroupHierarchy>& hierarchies, std::string_view mountinfo);

/// The hierarchies of this machine that are mounted, as this process, or one it is a fork of, saw them when
/// it first asked: one command asks often, and reading all mounts takes time.
const std::vector<CgroupHierarchy>& find_cgroup_hierarchies();

/// The folder in /sys/fs/cgroup for a hierarchy: "memory", "cpu,cpuacct", "systemd"
/// for "name=systemd", "unified".
std::string cgroup_folder_name(const CgroupHierarchy& hierarchy);

}  // namespace lay::runner
