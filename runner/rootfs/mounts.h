#pragma once

#include <vector>

#include "base/error.h"
#include "rootfs/planned_mount.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

/// All mounts in the order in which they are made: spec.mounts, then the bound files, but none whose place a
/// mount of the spec takes. Opens the sources of bind mounts, so it runs while the host's paths can be
/// reached. Throws not_found for a source that is not there; invalid for options, for a mount over "/".
std::vector<PlannedMount> open_mounts(const Spec& spec, const RootfsPlan& plan);

/// not_found, with a hint: of a bind mount whose source is not there.
Error no_volume_source(const Mount& mount);

/// Makes and fills what is planned for /dev, if that is a tmpfs: the kernel lets no user namespace make
/// device nodes, nor use those on a file system of its own. Under FileOwnerGuard.
void prepare_dev(PlannedMount& planned, const Spec& spec, const IdMap& ids);

/// Whether `planned`, one of `mounts`, lies in the cgroups of a bundle, and so has to wait until these are
/// mounted.
bool waits_for_cgroups(const std::vector<PlannedMount>& mounts, const PlannedMount& planned);

/// The targets that lie on the overlay itself, and not beneath an earlier mount.
std::vector<const PlannedMount*> overlay_targets(const std::vector<PlannedMount>& mounts);

/// Puts one mount in its place inside `root`; a fresh tmpfs on /dev is filled at once.
/// Throws invalid when the place lies inside a procfs, is the root, or is of another kind than the source.
void place_mount(const UniqueFd& root, const PlannedMount& planned, const Spec& spec);

}  // namespace lay::runner
