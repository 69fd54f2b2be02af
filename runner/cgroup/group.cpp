#include "cgroup/group.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/parent.h"

namespace lay::runner {

namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr std::size_t kMaxGroupFile = 16 * 1024 * 1024;  // cgroup.procs of four million processes
constexpr int kMakeRounds = 1000;
constexpr int kKillRounds = 1000;

using Clock = std::chrono::steady_clock;

/// The subgroups of a group: every folder in it.
std::vector<std::string> subgroups_of(const UniqueFd& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(sys::open_dir(dir, ".").release()),
                                                   &::closedir);
  if (!stream) throw Error::from_errno("list a cgroup");
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  return names;
}

/// A walk through a group and all beneath it, deepest first. However deep they lie, one descriptor is open.
class GroupWalk {
 public:
  explicit GroupWalk(const UniqueFd& top) : here_(sys::open_dir(top, ".")) {
    levels_.push_back({"", subgroups_of(here_)});
  }

  /// Goes to the next group whose subgroups have all been left.
  void descend() {
    while (!levels_.back().rest.empty()) {
      std::string name = std::move(levels_.back().rest.back());
      levels_.back().rest.pop_back();
      std::optional<UniqueFd> child = sys::try_open_at(here_, name, kFolder);
      if (!child) continue;
      here_ = std::move(*child);
      levels_.push_back({std::move(name), subgroups_of(here_)});
    }
  }
  const UniqueFd& here() const { return here_; }
  bool is_at_top() const { return levels_.size() == 1; }
  /// Goes up; returns the name of the group that is left.
  std::string leave() {
    here_ = sys::open_at(here_, "..", kFolder);
    std::string name = std::move(levels_.back().name);
    levels_.pop_back();
    return name;
  }

 private:
  struct Level {
    std::string name;
    std::vector<std::string> rest;  ///< subgroups that are still to be visited
  };
  UniqueFd here_;
  std::vector<Level> levels_;
};

/// The group and all beneath it, deepest first.
void for_each_group(const UniqueFd& dir, const std::function<void(const UniqueFd&)>& visit) {
  GroupWalk walk(dir);
  for (;; walk.leave()) {
    walk.descend();
    visit(walk.here());
    if (walk.is_at_top()) return;
  }
}

/// Where a group lies. A cgroup file system has no links, so the way there is the one that is meant.
std::string path_of(const CgroupHierarchy& hierarchy, const CgroupName& name) {
  std::vector<std::string> parts{hierarchy.mount_point};
  if (!name.parent.empty()) parts.push_back(join(parse_cgroup_path(name.parent), "/"));
  parts.push_back(name.id);
  return join(parts, "/");
}

/// In most hierarchies a group needs nothing from its parent but that it is there.
CgroupGroup make_group_in_own_parent(const CgroupHierarchy& hierarchy, const CgroupName& name) {
  const std::string path = path_of(hierarchy, name);
  if (::mkdir(path.c_str(), 0755) < 0) {
    if (errno == ENOENT) sys::try_mkdir_at(sys::cwd(), hierarchy.mount_point + "/" + name.parent, 0755);
    sys::mkdir_at(sys::cwd(), path, 0755);
  }
  return {.hierarchy = hierarchy, .dir = sys::open_at(sys::cwd(), path, kFolder)};
}

CgroupGroup make_group_in_parent(const CgroupHierarchy& hierarchy, const CgroupName& name,
                                 const std::vector<std::string>& wanted) {
  if (hierarchy.version == CgroupVersion::v1 && !hierarchy.has("cpuset") && name.parent == kOwnParent)
    return make_group_in_own_parent(hierarchy, name);
  const UniqueFd parent = make_parent(hierarchy, name.parent, wanted);
  sys::mkdir_at(parent, name.id, 0755);
  CgroupGroup group{.hierarchy = hierarchy, .dir = sys::open_at(parent, name.id, kFolder)};
  if (hierarchy.has("cpuset") && hierarchy.version == CgroupVersion::v1) inherit_cpuset(parent, group.dir);
  return group;
}

std::vector<pid_t> processes_of(const UniqueFd& dir) {
  std::vector<pid_t> pids;
  for (const std::string& line : split(read_group_file(dir, "cgroup.procs"), '\n'))
    if (const std::optional<std::uint64_t> pid = parse_number(line); pid && *pid != 0)
      pids.push_back(static_cast<pid_t>(*pid));
  return pids;
}

void kill_listed(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids)
    if (::kill(pid, SIGKILL) < 0 && errno != ESRCH) throw Error::from_errno("kill process {}", pid);
}

bool has_own_freezer(const CgroupGroup& group) {
  return group.hierarchy.version == CgroupVersion::v1 && group.hierarchy.has("freezer");
}

/// A frozen process cannot fork while the list is read; SIGKILL takes effect when it is thawed.
void kill_in_group(const CgroupGroup& group, const UniqueFd& dir) {
  const bool has_freezer = has_own_freezer(group);
  if (has_freezer) write_group_file(dir, "freezer.state", "FROZEN");
  kill_listed(processes_of(dir));
  if (has_freezer) write_group_file(dir, "freezer.state", "THAWED");
}

/// Whether the group is gone; most have no groups in them.
bool try_remove_group(const UniqueFd& parent, const std::string& name) {
  try {
    sys::try_unlink_at(parent, name, AT_REMOVEDIR);
    return true;
  } catch (Error& error) {
    if (error.error_number() == EBUSY || error.error_number() == ENOTEMPTY) return false;
    error.add_context("cgroup");
    throw;
  }
}

bool try_remove_subgroups(const UniqueFd& parent, const std::string& name) {
  const std::optional<UniqueFd> dir = sys::try_open_at(parent, name, kFolder);
  if (!dir) return true;
  GroupWalk walk(*dir);
  for (;;) {
    walk.descend();
    if (walk.is_at_top()) return true;
    const std::string left = walk.leave();
    if (!try_remove_group(walk.here(), left)) return false;
  }
}

bool try_remove_tree(const UniqueFd& parent, const std::string& name) {
  return try_remove_group(parent, name) ||
         (try_remove_subgroups(parent, name) && try_remove_group(parent, name));
}

}  // namespace

std::string read_group_file(const UniqueFd& dir, const std::string& name) {
  std::string text = sys::read_all(sys::open_at(dir, name, O_RDONLY), kMaxGroupFile);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

void write_group_file(const UniqueFd& dir, const std::string& name, const std::string& text) {
  write_group_lines(dir, name, {text});
}

void write_group_lines(const UniqueFd& dir, const std::string& name, const std::vector<std::string>& lines) {
  with_context(fmt::format("cgroup file '{}'", name), [&] {
    const UniqueFd file = sys::open_at(dir, name, O_WRONLY);
    for (const std::string& line : lines)
      if (sys::retry_eintr([&] { return ::write(file.get(), line.data(), line.size()); }) < 0)
        throw Error::from_errno("write '{}'", printable(line));
  });
}

CgroupGroup make_group(const CgroupHierarchy& hierarchy, const CgroupName& name,
                       const std::vector<std::string>& controllers) {
  for (int round = 0;; ++round) {
    try {
      return make_group_in_parent(hierarchy, name, controllers);
    } catch (const Error& error) {
      // The last container of others took "lay" away, whose files then answer ENODEV.
      if (!is_group_gone(error) || round == kMakeRounds) throw;
    }
  }
}

std::vector<CgroupGroup> find_groups(const CgroupName& name) {
  std::vector<CgroupGroup> groups;
  for (const CgroupHierarchy& hierarchy : find_cgroup_hierarchies()) {
    if (std::optional<UniqueFd> dir = sys::try_open_at(sys::cwd(), path_of(hierarchy, name), kFolder))
      groups.push_back({.hierarchy = hierarchy, .dir = std::move(*dir)});
  }
  return groups;
}

bool is_group_gone(const Error& error) {
  return error.error_number() == ENOENT || error.error_number() == ENODEV;
}

std::vector<pid_t> list_group_processes(const UniqueFd& dir) {
  std::vector<pid_t> pids;
  for_each_group(dir, [&](const UniqueFd& group) {
    try {
      const std::vector<pid_t> here = processes_of(group);
      pids.insert(pids.end(), here.begin(), here.end());
    } catch (const Error& error) {
      // Removed meanwhile, or threaded: those of a threaded one are listed in the group above
      if (error.error_number() != ENODEV && error.error_number() != EOPNOTSUPP) throw;
    }
  });
  return pids;
}

std::vector<pid_t> list_group_processes(const std::vector<CgroupGroup>& groups) {
  return groups.empty() ? std::vector<pid_t>() : list_group_processes(groups.front().dir);
}

void enable_controllers(const CgroupGroup& group, const CgroupName& name,
                        const std::vector<std::string>& controllers) {
  if (group.hierarchy.version == CgroupVersion::v2) make_parent(group.hierarchy, name.parent, controllers);
}

namespace {

void kill_until_empty(const CgroupGroup& group) {
  bool is_empty = false;
  for (int round = 0; !is_empty; ++round) {
    if (round == kKillRounds) throw Error::make(Errc::busy, "processes of the container do not die");
    is_empty = true;
    for_each_group(group.dir, [&](const UniqueFd& dir) {
      if (processes_of(dir).empty()) return;
      is_empty = false;
      kill_in_group(group, dir);
    });
    if (!is_empty) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

void kill_processes_one_by_one(const std::vector<CgroupGroup>& groups) {
  for (const CgroupGroup& group : groups)  // first: elsewhere what is frozen does not die
    if (has_own_freezer(group)) kill_until_empty(group);
  for (const CgroupGroup& group : groups) kill_until_empty(group);
}

void kill_groups(const std::vector<CgroupGroup>& groups) {
  for (const CgroupGroup& group : groups) {
    if (group.hierarchy.version != CgroupVersion::v2 || !sys::try_stat_at(group.dir, "cgroup.kill")) continue;
    write_group_file(group.dir, "cgroup.kill", "1");
    return;  // a process is in the groups of all hierarchies alike
  }
  kill_processes_one_by_one(groups);
}

void remove_group(const CgroupHierarchy& hierarchy, const CgroupName& name, std::chrono::milliseconds limit) {
  const std::string path = path_of(hierarchy, name);
  const Clock::time_point deadline = Clock::now() + limit;
  auto pause = std::chrono::microseconds(100);
  while (!try_remove_tree(sys::cwd(), path)) {
    if (Clock::now() >= deadline) throw Error::make(Errc::busy, "cgroup '{}' still has processes", path);
    std::this_thread::sleep_for(pause);  // v1 has no event for "empty"
    pause = std::min(pause * 2, std::chrono::microseconds(10'000));
  }
  remove_parent(hierarchy, name.parent);
}

UniqueFd open_unified_group_of(pid_t pid) {
  constexpr std::string_view kUnified = "0::";
  constexpr std::size_t kMost = 64UL * 1024;
  const std::string text =
      sys::read_all(sys::open_at(sys::cwd(), fmt::format("/proc/{}/cgroup", pid), O_RDONLY), kMost);
  for (const CgroupHierarchy& hierarchy : find_cgroup_hierarchies())
    for (const std::string& line : split(text, '\n'))
      if (hierarchy.version == CgroupVersion::v2 && line.starts_with(kUnified))
        return sys::open_in_root(sys::open_dir(sys::cwd(), hierarchy.mount_point),
                                 line.substr(kUnified.size()), O_RDONLY | O_DIRECTORY);
  throw Error::make(Errc::not_found, "process {} is in no group of cgroup v2", pid);
}

}  // namespace lay::runner
