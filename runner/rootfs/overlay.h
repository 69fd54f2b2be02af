#pragma once

#include <string>
#include <vector>

#include "base/mount.h"
#include "base/unique_fd.h"
#include "rootfs/rootfs.h"

namespace lay::runner {

/// How the layers are told to the kernel.
enum class OverlayApi {
  per_layer,   ///< fsconfig(2), one "lowerdir+" for each: Linux 6.8
  one_string,  ///< mount(2), all in one "lowerdir" option: Linux 6.1, up to about 500 layers
};

/// The folders of one overlay, opened with O_PATH. They reach the kernel as "/proc/self/fd/N", so no
/// character of a path on the host is ever parsed as an option, and none shows in the container's mountinfo.
struct OverlayFolders {
  std::vector<UniqueFd> lowers;  ///< topmost first
  UniqueFd upper;
  UniqueFd work;
  UniqueFd place;  ///< the folder that has "merged", on which it is mounted; empty: the mount stays detached
};

enum class Durability {
  normal,
  volatile_,  ///< the kernel never syncs the upper: overlayfs.rst "Volatile mount"
};

/// Redirects are neither followed nor made, metacopy and index are off, whatever this kernel's defaults are.
void set_fixed_options(FsContext& context);

/// Mounts an overlay on folders.place/merged, nodev, and returns its root. Redirects are neither followed nor
/// made, metacopy and index are off, whatever this kernel's defaults are. Clears what an earlier volatile
/// mount left in the work folder, which the kernel would refuse. Throws Error with what the kernel said.
UniqueFd mount_overlay(const OverlayFolders& folders, Durability durability, OverlayApi api);
/// As above with the best way this kernel has.
UniqueFd mount_overlay(const OverlayFolders& folders, Durability durability);

}  // namespace lay::runner
