#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

/// One mount of a container, ready to be put in its place.
struct PlannedMount {
  Mount mount;
  std::string target;  ///< the destination, normalised
  MountOptions options;
  TargetKind kind = TargetKind::folder;
  /// Of a bind mount: a detached copy of the tree at the source, opened once; of /dev after prepare_dev().
  UniqueFd source;
  std::string node;  ///< of a device that does not lie in /dev: kept_node()
  MountRules rules = MountRules::lay;
};

/// All mounts in the order in which they are made: spec.mounts, then the bound files, but none whose place a
/// mount of the spec takes. Opens the sources of bind mounts, so it runs while the host's paths can be
/// reached. Throws not_found for a source that is not there; invalid for options, for a mount over "/".
std::vector<PlannedMount> open_mounts(const Spec& spec, const RootfsPlan& plan);

/// Makes and fills what is planned for /dev, if that is a tmpfs: the kernel lets no user namespace make
/// device nodes, nor use those on a file system of its own. Under FileOwnerGuard.
void prepare_dev(PlannedMount& planned, const Spec& spec, const IdMap& ids);

/// The targets that lie on the overlay itself, and not beneath an earlier mount.
std::vector<const PlannedMount*> overlay_targets(const std::vector<PlannedMount>& mounts);

/// Puts one mount in its place inside `root`; a fresh tmpfs on /dev is filled at once.
/// Throws invalid when the place lies inside a procfs, is the root, or is of another kind than the source.
void place_mount(const UniqueFd& root, const PlannedMount& planned, const Spec& spec);

}  // namespace lay::runner
