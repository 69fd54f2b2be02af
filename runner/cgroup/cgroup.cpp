#include "cgroup/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/group.h"
#include "cgroup/layout.h"
#include "cgroup/limits.h"
#include "cgroup/parent.h"

namespace lay::runner {

namespace {

/// How long the processes of a container may take to be gone after SIGKILL: one that waits for a slow disk
/// dies late.
constexpr std::chrono::milliseconds kRemovalLimit{5000};
constexpr auto kSameGroup = static_cast<gid_t>(-1);

/// In a container whose cgroup file system is read-only every start would fail with
/// "read-only file system" alone.
CgroupGroup make_group_with_hint(const CgroupHierarchy& hierarchy, const CgroupName& name,
                                 const std::vector<std::string>& controllers) {
  try {
    return make_group(hierarchy, name, controllers);
  } catch (Error& error) {
    error.add_context(fmt::format("cgroup hierarchy '{}'", cgroup_folder_name(hierarchy)));
    if (error.error_number() == EROFS || error.error_number() == EACCES)
      error.with_hint("lay needs a writable cgroup file system; a container that runs lay must be given one");
    throw;
  }
}

/// Those that a group may lack included. Kernels before 4.15 do not tell.
std::vector<std::string> delegated_files() {
  constexpr std::size_t kMost = 4096;
  const auto list = sys::try_open_at(sys::cwd(), "/sys/kernel/cgroup/delegate", O_RDONLY);
  if (!list) return {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
  std::vector<std::string> files = split(sys::read_all(*list, kMost), '\n');
  std::erase(files, "");
  return files;
}

Error in_use(const CgroupName& name) {
  return Error::make(Errc::busy, "container's cgroup is not empty: '{}/{}'", name.parent, name.id);
}

void require_empty(const CgroupName& name, const std::vector<CgroupGroup>& groups) {
  if (!list_group_processes(groups).empty()) throw in_use(name);
}

/// In v1's cpuset nothing can enter a group that has no processors, as one has that others made.
void fill_joined(const CgroupGroup& group) {
  if (group.hierarchy.version == CgroupVersion::v1 && group.hierarchy.has("cpuset"))
    inherit_cpuset(sys::open_at(group.dir, "..", O_RDONLY | O_DIRECTORY), group.dir);
}

bool has_group(const std::vector<CgroupGroup>& groups, const CgroupHierarchy& hierarchy) {
  return std::ranges::any_of(
      groups, [&](const CgroupGroup& group) { return group.hierarchy.mount_point == hierarchy.mount_point; });
}

}  // namespace

struct CgroupGuard::State {
  CgroupName name;
  std::vector<CgroupGroup> groups;
  std::vector<std::string>
      owned;  ///< mount points of the hierarchies whose group was made, and goes with this
  bool is_finished = false;
  std::optional<FileLock> making;  ///< of a group that others may join

  /// Others may have found it empty as well. What was made is left to who was quicker.
  void claim() {
    if (groups.empty()) return;
    making = FileLock::try_lock(sys::open_dir(groups.front().dir, "."), LockMode::exclusive);
    if (making) return require_empty(name, groups);
    owned.clear();
    throw in_use(name);
  }

  void join_groups(const Resources& resources) {
    groups = find_groups(name);
    for (const CgroupGroup& group : groups) enable_controllers(group, name, controllers_for(resources));
  }

  /// Those of one version that are not there yet.
  void make_groups(CgroupVersion version, const Resources& resources) {
    const std::vector<std::string> controllers = controllers_for(resources);
    for (const CgroupHierarchy& hierarchy : find_cgroup_hierarchies()) {
      if (hierarchy.version != version || has_group(groups, hierarchy)) continue;
      groups.push_back(make_group_with_hint(hierarchy, name, controllers));
      owned.push_back(hierarchy.mount_point);  // also when the next one fails
    }
  }

  bool is_owned(const CgroupGroup& group) const {
    return std::ranges::find(owned, group.hierarchy.mount_point) != owned.end();
  }

  explicit State(CgroupName group_name) : name(std::move(group_name)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (owned.empty()) return;
    try {
      std::erase_if(groups, [&](const CgroupGroup& group) { return !is_owned(group); });
      kill_groups(groups);
      for (const CgroupGroup& group : groups) remove_group(group.hierarchy, name, kRemovalLimit);
    } catch (const Error&) {
      // A process that cannot die keeps its groups; remove_cgroups finds them later.
    }
  }
};

CgroupGuard::CgroupGuard(std::unique_ptr<State> state) : state_(std::move(state)) {}
CgroupGuard::CgroupGuard(CgroupGuard&&) noexcept = default;
CgroupGuard::~CgroupGuard() = default;

CgroupGuard CgroupGuard::create(const CgroupName& name, const Resources& resources, ExistingGroup existing) {
  CgroupGuard guard = begin(name, resources, existing);
  guard.finish(resources);
  return guard;
}

CgroupGuard CgroupGuard::begin(const CgroupName& name, const Resources& resources, ExistingGroup existing) {
  auto state = std::make_unique<State>(name);
  if (existing == ExistingGroup::joined) state->join_groups(resources);
  state->make_groups(CgroupVersion::v2, resources);
  if (existing == ExistingGroup::joined) state->claim();
  return CgroupGuard(std::move(state));
}

void CgroupGuard::finish(const Resources& resources) {
  for (const CgroupGroup& group : state_->groups) fill_joined(group);
  state_->make_groups(CgroupVersion::v1, resources);
  set_limits(state_->groups, resources);
  state_->is_finished = true;
}

bool CgroupGuard::is_finished() const {
  return state_->is_finished;
}

CgroupGuard CgroupGuard::open(const CgroupName& name) {
  auto state = std::make_unique<State>(name);
  state->groups = find_groups(name);
  if (state->groups.empty())
    throw Error::make(Errc::not_found, "container '{}' has no cgroup: it is not running", name.id);
  state->is_finished = true;
  return CgroupGuard(std::move(state));
}

CgroupGuard CgroupGuard::none() {
  auto state = std::make_unique<State>(CgroupName(""));
  state->is_finished = true;
  return CgroupGuard(std::move(state));
}

const UniqueFd* CgroupGuard::birthplace() const {
  const auto& groups = state_->groups;
  const auto v2 = std::ranges::find(groups, CgroupVersion::v2,
                                    [](const CgroupGroup& group) { return group.hierarchy.version; });
  return v2 == groups.end() ? nullptr : &v2->dir;
}

void add_memory_kills(Error& error, const CgroupGuard& cgroup) noexcept {
  try {
    if (cgroup.oom_kills() > 0) error.with_hint("its limit of memory is too low: the kernel killed it");
  } catch (const std::exception&) {
    return;
  }
}

void CgroupGuard::enter() const {
  enter_cgroups(open_entrances());
}

std::vector<UniqueFd> CgroupGuard::open_entrances(Entrances which) const {
  std::vector<UniqueFd> entrances;
  for (const CgroupGroup& group : state_->groups)
    if (group.hierarchy.version == CgroupVersion::v1 &&
        (which == Entrances::all || (which == Entrances::pids) == group.hierarchy.has("pids")))
      entrances.push_back(sys::open_at(group.dir, "tasks", O_WRONLY));
  return entrances;
}

void enter_cgroups(const std::vector<UniqueFd>& entrances) {
  for (const UniqueFd& tasks : entrances)
    if (sys::retry_eintr([&] { return ::write(tasks.get(), "0", 1); }) < 0)
      throw Error::from_errno("enter a cgroup")
          .with_hint(
              "one that was there before needs processors and memory nodes (cpuset.cpus, cpuset.mems)");
}

void CgroupGuard::give_to(uid_t owner) const {
  for (const CgroupGroup& group : state_->groups)
    if (group.hierarchy.version == CgroupVersion::v1) return;
  for (const CgroupGroup& group : state_->groups) {
    for (const std::string& file : delegated_files())
      if (sys::try_stat_at(group.dir, file)) sys::chown_at(group.dir, file, owner, kSameGroup);
    sys::chown_at(group.dir, ".", owner, kSameGroup);
  }
}

std::vector<CgroupMount> CgroupGuard::clone_mounts() const {
  std::vector<CgroupMount> mounts;
  for (const CgroupGroup& group : state_->groups)
    mounts.push_back({.hierarchy = group.hierarchy, .mount = clone_tree(group.dir, Recursion::no)});
  return mounts;
}

void CgroupGuard::leave() {
  state_->owned.clear();
}

std::uint64_t CgroupGuard::oom_kills() const {
  return count_oom_kills(state_->groups);
}

void require_no_processes(const CgroupName& name) {
  require_empty(name, find_groups(name));
}

void remove_cgroups(const CgroupName& name) {
  const std::vector<CgroupGroup> groups = find_groups(name);
  kill_groups(groups);
  for (const CgroupGroup& group : groups) remove_group(group.hierarchy, name, kRemovalLimit);
}

}  // namespace lay::runner
