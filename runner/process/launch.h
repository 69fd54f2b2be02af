#pragma once

#include <functional>
#include <optional>

#include "cgroup/cgroup.h"
#include "cgroup/resctrl.h"
#include "delegate/delegated.h"
#include "network/container_networks.h"
#include "process/container_ids.h"
#include "process/process.h"
#include "process/stdio_pipes.h"
#include "rootfs/mount_points.h"
#include "runner/container.h"
#include "runner/network_ahead.h"

namespace lay::runner {

/// A container that runs, with all that was made for it on the host. Destroyed, it takes everything away:
/// first the process with its namespaces (so links and mounts are gone), then what another runtime keeps of
/// it, network, cgroups, class of resctrl and ids.
struct LaunchedContainer {
  MountPoints points;
  std::vector<IdLease> ids;
  CgroupGuard cgroup;
  std::optional<ResctrlGroup> resctrl;
  ContainerNetworks networks;
  std::optional<Delegated> delegated;  ///< when another runtime runs it
  ParentStdio stdio;
  ChildProcess process;
};

/// What is left to be done beside the first process's own work, which does not execute its command before
/// this has returned: by then Container::make_durable() has been called, here or elsewhere.
using BeforeExec = std::function<void(const LaunchedContainer& launched)>;

/// Starts a container's first process; returns when it has executed its command.
/// Throws what failed, on either side; nothing is left then. The calling process must have no thread beside
/// this one but that of `network`, which is begun here where it has not been.
LaunchedContainer launch(const ContainerStore& store, const Container& container, NetworkAhead network,
                         const BeforeExec& before_exec);

}  // namespace lay::runner
