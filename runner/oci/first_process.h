#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "cgroup/cgroup.h"
#include "cgroup/resctrl.h"
#include "oci/hooks.h"
#include "oci/namespaces.h"
#include "process/handshake.h"
#include "rootfs/prepared_rootfs.h"
#include "runner/oci.h"
#include "security/confinement.h"

/// The first process of a container of an OCI bundle.
namespace lay::runner {

/// What it needs, settled by create. Values and descriptors only.
struct OciFirstPlan {
  std::string id;
  UniqueFd program;  ///< open_own_program()
  Spec spec;
  Confinement confinement;
  RootfsPlan rootfs;
  NamespacePlan namespaces;
  std::optional<PreparedRootfs> prepared;  ///< with a user namespace of its own
  std::optional<ResctrlGroup> resctrl;
  std::vector<CgroupMount> cgroup_mounts;  ///< of a container that shares the host's cgroup namespace
  UniqueFd listener;                       ///< where start is waited for
  unsigned preserved_fds = 0;
  bool new_keyring = true;
  Hooks hooks;  ///< those that run in the container
  Json state;   ///< for them, but for status and pid
};

/// The child, from clone to execve. Until start is waited for, what fails is sent to `parent`, later to
/// whoever starts it.
[[noreturn]] void run_oci_first(OciFirstPlan& plan, const CgroupGuard& cgroup, ChildEnd parent) noexcept;

/// The socket at which the first process waits, in the container's folder.
UniqueFd listen_for_start(const UniqueFd& dir);
/// Connects there.
ParentEnd connect_for_start(const UniqueFd& dir);
/// False when it has executed its command, or has ended.
bool is_waiting(const UniqueFd& dir);

/// The process of the record itself; empty when it has ended, zombies included.
std::optional<UniqueFd> open_first_process(const OciRecord& record);

}  // namespace lay::runner
