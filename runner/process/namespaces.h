#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "process/process.h"
#include "runner/container.h"

namespace lay::runner {

/// A namespace that is there already.
struct JoinedNamespace {
  NamespaceType type;
  UniqueFd fd;  ///< its file of nsfs
};

/// How a container comes to its namespaces. Those with descriptors exist already.
struct NamespacePlan {
  /// CLONE_NEW* for clone3(2). The cgroup and the time namespace come later: the first when the process is in
  /// its cgroup, the second when its clocks are set.
  std::uint64_t clone_flags = 0;
  UniqueFd user;    ///< to be born in, and to own the new ones; never the one that lay is in
  UniqueFd cgroup;  ///< to be born in, when it is in its cgroup
  UniqueFd mount;   ///< to be born in: who enters it leaves its own root and folder
  std::vector<JoinedNamespace> joined;  ///< all others to be born in
  /// The mount namespace of the container whose IPC namespace is joined: its /dev/shm comes along.
  UniqueFd shared_memory;

  /// Puts one in its place.
  void join(JoinedNamespace namespace_);
  /// When all others are there: in a user namespace other than lay's its root makes the IPC namespace
  /// (make_ipc_namespace), for /dev/mqueue belongs to who made it.
  void leave_ipc_to_root();
};

/// Opens what is joined, each once. Throws invalid, with a hint, for a container that does not run; for a
/// path that leads to no namespace of its type; what check_joinable() does; not_found.
NamespacePlan plan_namespaces(const ContainerStore& store, const ContainerConfig& config);

/// The pid namespace that is joined; null when there is none.
const UniqueFd* joined_pids(const NamespacePlan& plan);
/// Whether it leads to a user namespace other than lay's own.
bool has_user_namespace(const NamespacePlan& plan);

/// A child in all of them; empty in the child. The calling process, which has one thread, stays where it is.
std::optional<ChildProcess> clone_into(const NamespacePlan& plan, const UniqueFd* birthplace);

/// Throws unsupported for pid and ipc of a container in another user namespace, whose file systems (proc,
/// mqueue) could not be mounted; invalid when the other keeps its ipc to itself.
void check_joinable(const ContainerConfig& config, const ContainerConfig& other, NamespaceType type);

/// unshare(2), where `spec` wants one of its own: what NamespacePlan::leave_ipc_to_root() has left out.
void make_ipc_namespace(const Spec& spec);

/// CLONE_NEW* of clone(2).
std::uint64_t clone_flag_of(NamespaceType type);
/// The same for clone3(2): 0 for those that are made later, NamespacePlan::clone_flags.
std::uint64_t cloned_flag_of(NamespaceType type);

/// "/proc/<pid>/ns/net" and the like.
std::string namespace_path(pid_t pid, NamespaceType type);

/// A namespace by a file of nsfs, such as /proc/<pid>/ns/ipc or a bind of it; throws invalid for anything
/// else, and for one of another type.
UniqueFd open_namespace(const std::string& path, NamespaceType type);

/// Whether a process is in the namespace of that type in which the calling one is.
bool shares_namespace(pid_t pid, NamespaceType type);
/// Whether it is the calling process's own.
bool is_own_namespace(const JoinedNamespace& entry);

/// In the child: a time namespace with the given clocks, if the spec has one that is new. While the host's
/// /proc can be reached. time_namespaces(7): the offsets must be written before the first process enters.
void enter_time_namespace(const Spec& spec);

/// In the child, while it sees the host's mounts: a detached copy of the /dev/shm of another mount namespace.
UniqueFd copy_shared_memory(const UniqueFd& mount_namespace);

}  // namespace lay::runner
