#pragma once

#include <string>

#include "base/json.h"
#include "cgroup/cgroup.h"
#include "network/container_networks.h"
#include "rootfs/mount_points.h"
#include "rootfs/rootfs.h"
#include "runner/container.h"
#include "runner/network.h"
#include "runner/spec.h"

/// What each start of a container settles, whoever runs it.
namespace lay::runner {

/// Whether it enters a network namespace that is there already.
bool is_joined(NetworkMode mode);

/// The spec as it is executed: what only this start knows is filled in. Throws what is wrong with it.
Spec final_spec(const ContainerConfig& config);

/// `joined` is the container whose network is joined, with hosts and resolv.conf, or null.
RootfsPlan plan_rootfs(const Container& container, const Container* joined);

/// hosts, hostname and resolv.conf in the container's folder; only hostname where there is a container whose
/// network is `joined`. `attachment` is null without a bridge network.
void write_etc_files(const Container& container, const Attachment* attachment, const Container* joined);

/// What a start makes on the host before there is a process.
struct HostParts {
  ContainerNetworks networks;
  RootfsPlan rootfs;
  MountPoints points;  ///< those of `rootfs`
  CgroupGuard cgroup;  ///< begun
};

/// Reserves networks and mount points, writes the files in the container's folder, begins with the groups.
/// `joined` is the container whose network is joined, or null; `spec` is final_spec(), with all
/// mounts.
HostParts make_host_parts(const ContainerStore& store, const Container& container, const Container* joined,
                          const Spec& spec);

/// What an agent is told of a container: runtime.md, "State". `pid` is that of its first process, or 0.
Json oci_state(const Container& container, const std::string& status, pid_t pid);

}  // namespace lay::runner
