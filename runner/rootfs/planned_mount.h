#pragma once

#include <string>

#include "base/unique_fd.h"
#include "rootfs/mount_options.h"
#include "rootfs/mount_target.h"

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

}  // namespace lay::runner
