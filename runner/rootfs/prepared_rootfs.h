#pragma once

#include <string>
#include <vector>

#include "rootfs/mounts.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

/// A folder that every machine has and nobody needs while a container is made.
constexpr const char* kPlaceForRoot = "/dev";

/// The parts of a root file system that only a process with rights over the host can make: what a container
/// needs whose first process is born in a user namespace of its own.
struct PreparedRootfs {
  std::vector<PlannedMount> mounts;  ///< sources of bind mounts opened, /dev made and filled
  UniqueFd root;                     ///< the overlay, or a copy of the mount at `place`, attached nowhere
  RootSwitch root_switch = RootSwitch::pivot;
  std::string place =
      kPlaceForRoot;  ///< where it is attached; pivot_root(2) wants a mount and takes it there
};

/// In the parent, before the child is cloned; plan.overlay.ids is set. Nothing shows in the caller's mount
/// namespace. The calling process must have one thread.
PreparedRootfs prepare_rootfs(const Spec& spec, const RootfsPlan& plan);

/// As enter_rootfs, in a child that is root of its user namespace, which owns the mount namespace.
void enter_prepared_rootfs(
    const Spec& spec, const PreparedRootfs& prepared, const std::function<void()>& before_pivot = [] {});

}  // namespace lay::runner
