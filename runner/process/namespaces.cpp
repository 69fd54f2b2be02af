#include "process/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/first_process.h"
#include "process/handshake.h"
#include "process/onlookers.h"
#include "process/process.h"
#include "process/process_steps.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr const char* kSharedMemory = "/dev/shm";

/// In /proc/<pid>/ns, namespaces(7).
std::string file_of(NamespaceType type) {
  if (type == NamespaceType::network) return "net";
  return type == NamespaceType::mount ? "mnt" : name_of(type);
}

/// `process` is a number, or "self".
std::string path_of(const std::string& process, NamespaceType type) {
  return fmt::format("/proc/{}/ns/{}", process, file_of(type));
}

UniqueFd open_of_process(const std::string& process, NamespaceType type) {
  const std::string path = path_of(process, type);
  if (auto fd = sys::try_open_at(sys::cwd(), path, O_RDONLY)) return std::move(*fd);
  throw Error::from_number(ESRCH, fmt::format("open '{}'", path));
}

/// Enters the plan for a namespace of another container that is joined.
void join_container(const ContainerStore& store, const ContainerConfig& config, NamespaceType type,
                    const std::string& id, NamespacePlan& plan) {
  with_context(fmt::format("join the {} namespace of another container", name_of(type)), [&] {
    const Container other = store.find(id);
    check_joinable(config, other.config(), type);
    const FirstProcess first = open_first_process(other);
    const std::string pid = std::to_string(first.pid);
    UniqueFd fd = open_of_process(pid, type);
    if (type == NamespaceType::ipc) plan.shared_memory = open_of_process(pid, NamespaceType::mount);
    if (wait_for_end(first.pidfd, std::chrono::milliseconds(0)))  // the number might be another's by now
      throw Error::make(Errc::invalid, "container '{}' has ended", other.config().name);
    plan.join({.type = type, .fd = std::move(fd)});
  });
}

/// The network's kind stands elsewhere in the configuration.
void plan_network(const ContainerStore& store, const ContainerConfig& config, NamespacePlan& plan) {
  switch (config.network.mode) {
    case NetworkMode::container:
      return join_container(store, config, NamespaceType::network, config.network.container, plan);
    case NetworkMode::path:
      return plan.join({.type = NamespaceType::network,
                        .fd = open_namespace(config.network.path, NamespaceType::network)});
    default:
      plan.clone_flags |= CLONE_NEWNET;
  }
}

/// In the container whose pid namespace is joined.
void note_newcomer(const ContainerStore& store, const ContainerConfig& config, const NamespacePlan& plan) {
  const UniqueFd* pids = joined_pids(plan);
  const Onlookers newcomer = onlookers_with(config.spec.process.capabilities, has_user_namespace(plan));
  if (pids == nullptr || newcomer == Onlookers::blind) return;
  const auto owner = owner_of_pids(store, *pids);
  if (owner) let_in(notes_of(owner->container, owner->first), newcomer);
}

/// Whether both are in one user namespace: the host's, or that of the other.
bool shares_users(const ContainerConfig& config, const ContainerConfig& other) {
  const auto joined = config.joined.find(NamespaceType::user);
  if (joined != config.joined.end()) return joined->second == other.id;
  return !has_namespace(other.spec, NamespaceType::user) && !has_namespace(config.spec, NamespaceType::user);
}

/// Children of this process are born in other namespaces; this process itself goes back to its own. None of
/// them is a user namespace: from there is no way back.
class NamespacesForChildren {
 public:
  explicit NamespacesForChildren(const std::vector<JoinedNamespace>& joined) {
    for (const JoinedNamespace& entry : joined) own_.push_back(open_of_process("self", entry.type));
    try {
      for (const JoinedNamespace& entry : joined) set_namespaces(entry.fd, 0);
    } catch (const Error&) {
      go_back();
      throw;
    }
  }

  /// In the parent, when the child is born.
  void go_back() const {
    for (const UniqueFd& own : own_)
      if (::setns(own.get(), 0) < 0) throw Error::from_errno("go back to lay's own namespaces");
  }

 private:
  std::vector<UniqueFd> own_;
};

/// As ChildProcess::clone(), for a plan whose user, cgroup or mount namespace is there already: a process
/// between enters those, and makes the others, which belong to the first. The child is this process's all the
/// same (CLONE_PARENT). Throws what failed there.
std::optional<ChildProcess> clone_from_between(const NamespacePlan& plan, const UniqueFd* birthplace) {
  const Handshake handshake = make_handshake();
  auto between = ChildProcess::clone(0, birthplace);
  if (!between) {
    try {
      shut_others_out();
      if (plan.cgroup) set_namespaces(plan.cgroup, CLONE_NEWCGROUP);
      if (plan.mount) set_namespaces(plan.mount, CLONE_NEWNS);
      if (plan.user) set_namespaces(plan.user, CLONE_NEWUSER);
      auto child = ChildProcess::clone(plan.clone_flags | CLONE_PARENT, nullptr);
      if (!child) return std::nullopt;
      handshake.child.send_descriptor(child->pidfd());
      child->leave();
    } catch (const Error& error) {
      handshake.child.send_error(error);
    } catch (const std::exception& error) {
      handshake.child.send_error(Error(Errc::io, error.what()));
    }
    ::_exit(0);
  }
  return ChildProcess::adopt(handshake.parent.receive_descriptor(), std::move(*between));
}

std::optional<ChildProcess> born_from(const NamespacePlan& plan, const UniqueFd* birthplace) {
  if (plan.user || plan.cgroup || plan.mount) return clone_from_between(plan, birthplace);
  return ChildProcess::clone(plan.clone_flags, birthplace);
}

void set_clock(const UniqueFd& clocks, const std::string& clock, const TimeOffset& offset) {
  try {
    sys::write_all(clocks, fmt::format("{} {} {}\n", clock, offset.secs, offset.nanosecs));
  } catch (Error& error) {
    error.add_context("set the clock " + printable(clock));
    if (error.error_number() == ERANGE) error.with_hint("no clock can show a time before its start");
    throw;
  }
}

/// Of a failure that a cgroup is the reason of: cgroups(7), "no internal processes".
void add_group(Error& error, const UniqueFd& group) {
  if (error.error_number() != EBUSY && error.error_number() != EOPNOTSUPP) return;
  error.add_context(
      fmt::format("cgroup '{}'", sys::readlink_at(sys::cwd(), fmt::format("/proc/self/fd/{}", group.get()))));
  error.with_hint(
      "a group takes no processes while it has groups with controllers in it, or is part of a threaded one");
}

}  // namespace

std::uint64_t clone_flag_of(NamespaceType type) {
  switch (type) {
    case NamespaceType::pid:
      return CLONE_NEWPID;
    case NamespaceType::network:
      return CLONE_NEWNET;
    case NamespaceType::mount:
      return CLONE_NEWNS;
    case NamespaceType::ipc:
      return CLONE_NEWIPC;
    case NamespaceType::uts:
      return CLONE_NEWUTS;
    case NamespaceType::user:
      return CLONE_NEWUSER;
    case NamespaceType::cgroup:
      return CLONE_NEWCGROUP;
    case NamespaceType::time:
      return CLONE_NEWTIME;
  }
  return 0;
}

std::uint64_t cloned_flag_of(NamespaceType type) {
  return type == NamespaceType::cgroup || type == NamespaceType::time ? 0 : clone_flag_of(type);
}

void NamespacePlan::join(JoinedNamespace namespace_) {
  if (namespace_.type == NamespaceType::cgroup)
    cgroup = std::move(namespace_.fd);
  else if (namespace_.type == NamespaceType::mount)
    mount = std::move(namespace_.fd);
  else if (namespace_.type != NamespaceType::user)
    joined.push_back(std::move(namespace_));
  else if (!is_own_namespace(namespace_))
    user = std::move(namespace_.fd);
}

void NamespacePlan::leave_ipc_to_root() {
  if (has_user_namespace(*this)) clone_flags &= ~std::uint64_t{CLONE_NEWIPC};
}

void make_ipc_namespace(const Spec& spec) {
  if (!has_own_namespace(spec, NamespaceType::ipc)) return;
  if (::unshare(CLONE_NEWIPC) < 0) throw Error::from_errno("make an ipc namespace");
}

void check_joinable(const ContainerConfig& config, const ContainerConfig& other, NamespaceType type) {
  const bool is_mounted = type == NamespaceType::pid || type == NamespaceType::ipc;
  if (is_mounted && !shares_users(config, other))
    throw Error::make(Errc::unsupported,
                      "namespaces cannot be shared with a container in another user namespace")
        .with_hint("--userns host for both");
  if (type == NamespaceType::ipc && !other.shares_ipc)
    throw Error::make(Errc::invalid, "container '{}' keeps its ipc namespace to itself", other.name)
        .with_hint("run it with --ipc shareable");
}

UniqueFd open_namespace(const std::string& path, NamespaceType type) {
  try {
    if (!path.starts_with('/')) throw Error(Errc::invalid, "is not an absolute path");
    UniqueFd fd = sys::open_at(sys::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (filesystem_magic(fd) != NSFS_MAGIC) throw Error(Errc::invalid, "is no namespace");
    const int found = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (found < 0) throw Error::from_errno("ask for its type");
    if (static_cast<std::uint64_t>(found) != clone_flag_of(type))
      throw Error::make(Errc::invalid, "is no {} namespace", name_of(type));
    return fd;
  } catch (Error& error) {
    error.add_context(fmt::format("namespace '{}'", printable(path)));
    error.with_hint(fmt::format("it is a file such as /proc/PID/ns/{}, or a bind of it", file_of(type)));
    throw;
  }
}

NamespacePlan plan_namespaces(const ContainerStore& store, const ContainerConfig& config) {
  if (!has_namespace(config.spec, NamespaceType::mount))
    throw Error(Errc::invalid, "a container needs a mount namespace of its own");
  NamespacePlan plan;
  for (const Namespace& entry : config.spec.linux_.namespaces) {
    const auto joined = config.joined.find(entry.type);
    if (joined != config.joined.end())
      join_container(store, config, entry.type, joined->second, plan);
    else if (!entry.path.empty())
      plan.join({.type = entry.type, .fd = open_namespace(entry.path, entry.type)});
    else if (entry.type == NamespaceType::network)
      plan_network(store, config, plan);
    else
      plan.clone_flags |= cloned_flag_of(entry.type);
  }
  plan.leave_ipc_to_root();
  note_newcomer(store, config, plan);
  return plan;
}

const UniqueFd* joined_pids(const NamespacePlan& plan) {
  const auto pids = std::ranges::find(plan.joined, NamespaceType::pid, &JoinedNamespace::type);
  return pids == plan.joined.end() ? nullptr : &pids->fd;
}

bool has_user_namespace(const NamespacePlan& plan) {
  return plan.user || (plan.clone_flags & CLONE_NEWUSER) != 0;
}

std::optional<ChildProcess> clone_into(const NamespacePlan& plan, const UniqueFd* birthplace) {
  const NamespacesForChildren inside(plan.joined);
  auto process = [&] {
    try {
      return born_from(plan, birthplace);
    } catch (Error& error) {
      inside.go_back();
      if (birthplace != nullptr) add_group(error, *birthplace);
      throw;
    }
  }();
  if (process) inside.go_back();
  return process;
}

std::string namespace_path(pid_t pid, NamespaceType type) {
  return path_of(std::to_string(pid), type);
}

bool shares_namespace(pid_t pid, NamespaceType type) {
  return is_own_namespace({.type = type, .fd = open_of_process(std::to_string(pid), type)});
}

bool is_own_namespace(const JoinedNamespace& entry) {
  const struct ::stat theirs = sys::stat_of(entry.fd);
  const struct ::stat own = sys::stat_of(open_of_process("self", entry.type));
  return theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino;
}

void enter_time_namespace(const Spec& spec) {
  if (!has_own_namespace(spec, NamespaceType::time)) return;
  with_context("time namespace", [&] {
    if (::unshare(CLONE_NEWTIME) < 0) throw Error::from_errno("make one");
    const UniqueFd clocks = sys::open_at(sys::cwd(), "/proc/self/timens_offsets", O_WRONLY);
    for (const auto& [clock, offset] : spec.linux_.time_offsets) set_clock(clocks, clock, offset);
    set_namespaces(sys::open_at(sys::cwd(), "/proc/self/ns/time_for_children", O_RDONLY), CLONE_NEWTIME);
  });
}

UniqueFd copy_shared_memory(const UniqueFd& mount_namespace) {
  return with_context("shared memory of the joined ipc namespace", [&] {
    const UniqueFd own = sys::open_at(sys::cwd(), "/proc/self/ns/mnt", O_RDONLY);
    set_namespaces(mount_namespace, CLONE_NEWNS);
    const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
    UniqueFd copy = clone_tree(sys::open_in_root(root, kSharedMemory, O_PATH | O_DIRECTORY), Recursion::no);
    set_namespaces(own, CLONE_NEWNS);
    return copy;
  });
}

}  // namespace lay::runner
