#include "cgroup/freezer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

constexpr std::chrono::milliseconds kLimit{5000};
constexpr std::chrono::milliseconds kPause{2};
constexpr std::size_t kMaxFile = 4096;

/// How one kind of group is told, and tells.
struct Freezer {
  const UniqueFd& dir;
  const char* file;
  const char* frozen;
  const char* thawed;
  const char* done_file;
  const char* done;  ///< what `done_file` has when everything stands still

  bool has(const char* name, const char* text) const {
    return sys::read_all(sys::open_at(dir, name, O_RDONLY), kMaxFile).find(text) != std::string::npos;
  }
};

std::optional<Freezer> find_freezer(const std::vector<CgroupGroup>& groups) {
  for (const CgroupGroup& group : groups)
    if (sys::try_stat_at(group.dir, "cgroup.freeze"))
      return Freezer{group.dir, "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"};
  for (const CgroupGroup& group : groups)
    if (group.hierarchy.version == CgroupVersion::v1 && group.hierarchy.has("freezer"))
      return Freezer{group.dir, "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"};
  return std::nullopt;
}

/// Frozen itself, it could not thaw them.
void refuse_own_group(const UniqueFd& dir) {
  const std::vector<pid_t> processes = list_group_processes(dir);
  if (std::find(processes.begin(), processes.end(), ::getpid()) == processes.end()) return;
  throw Error(Errc::invalid, "this command is in the container's own cgroup, and would stand still with it")
      .with_hint("run it from outside of the container");
}

Freezer require_freezer(const std::vector<CgroupGroup>& groups) {
  if (auto freezer = find_freezer(groups)) return *freezer;
  throw Error(Errc::unsupported, "this machine has no freezer for processes")
      .with_hint("it comes with cgroup v2, or with the freezer controller of v1");
}

}  // namespace

void freeze_groups(const std::vector<CgroupGroup>& groups) {
  const Freezer freezer = require_freezer(groups);
  refuse_own_group(freezer.dir);
  const auto end = std::chrono::steady_clock::now() + kLimit;
  do {
    write_group_file(freezer.dir, freezer.file, freezer.frozen);  // again for what was forked meanwhile (v1)
    if (freezer.has(freezer.done_file, freezer.done)) return;
    std::this_thread::sleep_for(kPause);
  } while (std::chrono::steady_clock::now() < end);
  write_group_file(freezer.dir, freezer.file, freezer.thawed);
  throw Error::make(Errc::busy, "a process does not stand still within {} s", kLimit.count() / 1000)
      .with_hint("it may wait for a disk or a network file system; try again");
}

void thaw_groups(const std::vector<CgroupGroup>& groups) {
  const auto freezer = find_freezer(groups);
  if (!freezer) return;
  try {
    write_group_file(freezer->dir, freezer->file, freezer->thawed);
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;
  }
}

bool are_frozen(const std::vector<CgroupGroup>& groups) {
  const auto freezer = find_freezer(groups);
  if (!freezer) return false;
  try {
    return !freezer->has(freezer->file, freezer->thawed);
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;
    return false;
  }
}

}  // namespace lay::runner
