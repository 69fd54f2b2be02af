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

/// Starts a container's first process; returns when it has executed its command, which it does not before
/// `make_durable` has returned: by then Container::make_durable() has been called, here or elsewhere.
/// Throws what failed, on either side; nothing is left then. The calling process must have one thread.
LaunchedContainer launch(const ContainerStore& store, const Container& container,
                         const std::function<void()>& make_durable);

}  // namespace lay::runner
