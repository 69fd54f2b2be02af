#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/container.h"

namespace lay::runner {

/// A process of a container, as the host's /proc has it (proc(5)).
struct ProcessInfo {
  pid_t host_pid = 0;
  pid_t pid = 0;  ///< as the container sees it
  pid_t host_parent = 0;
  pid_t parent = 0;  ///< as the container sees it; 0 when it lies outside
  pid_t group = 0;   ///< of processes, as the container sees it
  pid_t session = 0;
  std::uint32_t host_uid = 0;
  std::uint32_t host_gid = 0;
  std::uint32_t real_uid = 0;  ///< this and what follows as the container's user namespace sees it
  std::uint32_t uid = 0;       ///< effective
  std::uint32_t real_gid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> host_groups;  ///< supplementary
  std::vector<std::uint32_t> groups;       ///< the same, as the container's user namespace sees them
  std::string name;                        ///< up to 15 bytes, of the process's own choice
  std::string command;  ///< its arguments, or its name in [] when it has none; bytes as they are
  char state = '?';
  std::uint32_t terminal = 0;             ///< device number as stat has it; 0: none
  std::chrono::milliseconds processor{};  ///< time it has run
  std::chrono::milliseconds started{};    ///< time between the machine's boot and its fork
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
  std::int64_t nice = 0;
  std::uint64_t threads = 0;
  std::uint64_t inheritable = 0;  ///< capabilities, bit by number
  std::uint64_t permitted = 0;
  std::uint64_t effective = 0;
  std::uint64_t bounding = 0;
  std::uint64_t ambient = 0;
  std::uint64_t seccomp = 0;  ///< 0 none, 1 strict, 2 filter
  std::string label;          ///< of SELinux or AppArmor; empty without either
};

/// Every process in the container's cgroup, those of `exec` included, in the order of their pids. No file of
/// the container is opened, and nothing is executed. Throws invalid when it is not running.
std::vector<ProcessInfo> list_processes(const Container& container);

/// What /proc/<pid>/stat and status of a process say. `depth` is how many pid namespaces lie above the
/// container's own, seen from this process. Ids of users are the host's; what only other files say is empty.
/// Throws invalid on what is no such text.
ProcessInfo parse_process(std::string_view stat, std::string_view status, std::size_t depth);

/// "CAP_CHOWN" and so on of a set, in the order of their numbers.
std::vector<std::string> capability_names(std::uint64_t set);

}  // namespace lay::runner
