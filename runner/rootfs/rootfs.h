#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "rootfs/planned_mount.h"
#include "runner/spec.h"

namespace lay::runner {

struct CgroupMount;
struct IdMap;
struct IdMaps;

/// The overlay of one container. Paths are absolute on the host.
struct OverlayPlan {
  std::vector<std::string> lowers;  ///< topmost first, at least one
  std::string dir;                  ///< the container's folder, with upper/ and work/
  /// The layer of the mount points (mount_points.h), held by the caller; beside it lies merged/, on which the
  /// overlay is mounted.
  std::string points;
  /// Nothing written survives a crash of the machine, in exchange no sync at the end (--rm).
  bool is_volatile = false;
  /// With a user namespace of the container's own: all folders are seen through this map, so that the upper
  /// holds the container's ids, and nothing is attached to merged/.
  const IdMap* ids = nullptr;

  /// Empty without.
  std::optional<IdMaps> id_maps() const;
};

/// Files of the container's folder that are bound over the image's, writable, and never part of the upper:
/// "hosts" over /etc/hosts and so on.
struct BoundFile {
  std::string source;       ///< absolute path on the host
  std::string destination;  ///< inside
};

/// How a process comes into its root.
enum class RootSwitch {
  pivot,
  move,  ///< over the old one, which stays beneath: where the host's root is a ramdisk, which cannot be left
  /// In a mount namespace that others are in, whose mounts have to stay: the root is mounted on its own
  /// place there until somebody takes it away.
  chroot,
};

/// Everything the child needs to make its root. A plain value, made by the parent.
struct RootfsPlan {
  /// A root that is there already, absolute: a runtime bundle's. Mount points that it lacks are made in it.
  /// It takes the place of the overlay, but for the map of its ids.
  std::string folder;
  RootSwitch root_switch = RootSwitch::pivot;
  OverlayPlan overlay;
  std::vector<BoundFile> files;
  /// The mount namespace whose /dev/shm is bound in place of an own one; null: none.
  const UniqueFd* shared_memory = nullptr;
};

/// In the child, in its own mount namespace, as the first step: makes the tree private, mounts the overlay,
/// all of spec.mounts in order, /dev with its nodes, the bound files; then pivots into it, detaches the old
/// root, masks paths, makes read-only what shall be. Targets are resolved inside the root by descriptor only;
/// missing mount points come from a layer of their own, which is made when it is not there yet. Throws
/// Error naming the mount that failed; the namespace dies with the child, so nothing stays behind.
/// `before_pivot` is called when all is mounted, and the host's paths can still be reached. Returns the
/// mounts; those in the cgroups are left to mount_cgroups.
std::vector<PlannedMount> enter_rootfs(
    const Spec& spec, const RootfsPlan& plan, const std::function<void()>& before_pivot = [] {});

/// In a process that will execute another runtime, in a mount namespace made for that: mounts the overlay,
/// with a mount point for each mount of `spec` and each bound file; returns where. The rest is the other's to
/// do.
std::string mount_for_others(const Spec& spec, const RootfsPlan& plan);

/// In the child, after enter_rootfs and after its cgroup namespace was unshared (which must follow its
/// attachment to the cgroups, or the namespace would show the host's): mounts the hierarchies read-only on
/// the destination of the "cgroup" mount of `spec`, whose place enter_rootfs has prepared. v2 alone is
/// mounted right there; v1 and hybrid as a tmpfs with one folder for each hierarchy. Nothing is mounted when
/// the spec has no such mount or no cgroup namespace of its own.
void mount_cgroups(const Spec& spec);
/// Those of `mounts` that lie in the cgroups follow.
void mount_cgroups(const Spec& spec, const std::vector<PlannedMount>& mounts);

/// As mount_cgroups, for a container in the host's cgroup namespace: its own groups, as they are.
void bind_cgroups(const Spec& spec, const std::vector<CgroupMount>& groups,
                  const std::vector<PlannedMount>& mounts);

/// The mount of `spec` that is to show the cgroups; null when there is none.
const Mount* find_cgroup_mount(const Spec& spec);

/// Opens the container's new pty from inside its devpts and binds it to /dev/console; returns the master.
/// After enter_rootfs.
UniqueFd open_console(const Spec& spec);

}  // namespace lay::runner
