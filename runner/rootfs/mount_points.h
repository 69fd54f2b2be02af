#pragma once

#include <string>

#include "base/file_lock.h"
#include "rootfs/rootfs.h"
#include "runner/spec.h"

/// Mount points that an image lacks are a layer of their own between image and upper, so that they never
/// reach a commit. What it holds follows from image and mounts alone: it is made once and shared by all
/// containers of that kind. It lies in RUN/points, where a reboot takes it away:
///   <key>/        the layer
///   <key>.lock    held shared by every container that uses it
///   <key>-<hex>/  being made
///   merged/       where overlays are mounted, each in the mount namespace of its own container
///   lock          held by whoever takes or removes one
namespace lay::runner {

/// The layer's path, which stays as long as the lock is held. It need not be there yet: the first start makes
/// it, see enter_rootfs().
struct MountPoints {
  std::string path;
  FileLock held;
};

/// Takes the layer for these mounts over these lowers, and removes what nobody uses when there is much of it.
///   run         RUN, absolute
///   containers  taken instead where RUN cannot hold the upper of an overlay: in a container without a tmpfs
///   there
MountPoints take_mount_points(const std::string& run, const std::string& containers, const Spec& spec,
                              const RootfsPlan& plan);

}  // namespace lay::runner
