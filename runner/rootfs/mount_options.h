#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mount.h"
#include "runner/spec.h"

namespace lay::runner {

/// Whose ids a bind mount shows.
enum class Owners {
  as_stored,
  of_container,  ///< "idmap": what belongs to 0 at the source belongs to root of the container's user
                 ///< namespace
};

/// The options of one mount of the spec, sorted by who receives them.
struct MountOptions {
  /// For the mount itself; a propagation is MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE, for it and all below it.
  MountAttributes attributes;
  /// Of a bind mount: whether what is mounted below the source comes along ("rbind").
  Recursion recursion = Recursion::no;
  Owners owners = Owners::as_stored;
  /// What is left belongs to the file system: "size=64m", "newinstance"; the second is empty for a bare flag.
  std::vector<std::pair<std::string, std::optional<std::string>>> data;
};

/// Every name of an option that is no file system's own, sorted.
std::vector<std::string> known_mount_options();

/// Sorts the options of `mount`; the last of two that contradict each other wins. A bind mount gets nosuid
/// and nodev unless it asks for "suid" or "dev", and takes no file system options. Throws invalid for
/// "shared" and "rshared", since no mount of a container may reach the host, and for options that a bind
/// mount cannot have. runtime-spec config.md "Linux mount options"; mount(8).
MountOptions parse_mount_options(const Mount& mount);

/// True for a bind mount: by type, or by option as the runtime-spec allows.
bool is_bind(const Mount& mount);

/// `path` without ".", "..", doubled and trailing slashes, always absolute; ".." of "/" is "/". Text only:
/// good for comparing, never for opening.
std::string normalize_path(const std::string& path);
/// True when the normalised `path` lies beneath the normalised `folder` (and is not `folder` itself).
bool lies_beneath(const std::string& path, const std::string& folder);

}  // namespace lay::runner
