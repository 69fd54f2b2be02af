#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "cgroup/cgroup.h"
#include "cgroup/resctrl.h"
#include "process/handshake.h"
#include "process/stdio_pipes.h"
#include "rootfs/prepared_rootfs.h"
#include "rootfs/rootfs.h"
#include "runner/network.h"
#include "runner/spec.h"
#include "security/confinement.h"

namespace lay::runner {

/// All that a container's first process needs, settled by the parent. Values and descriptors only.
struct InitPlan {
  std::string container_id;
  UniqueFd program;  ///< open_own_program()
  Spec spec;
  Confinement confinement;
  RootfsPlan rootfs;
  NetworkMode network = NetworkMode::none;
  bool has_loopback = false;   ///< the loopback device is up already
  unsigned preserved_fds = 0;  ///< descriptors from 3 on that the command keeps
  std::optional<ResctrlGroup> resctrl;
  ChildStdio stdio;                        ///< empty with a terminal
  std::optional<PreparedRootfs> prepared;  ///< in place of `rootfs` with a user namespace of its own
};

/// The child, from clone to execve. What fails is sent to the parent, and the process ends with code 1.
[[noreturn]] void run_init(InitPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent) noexcept;

}  // namespace lay::runner
