#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mount.h"
#include "runner/spec.h"

namespace lay::runner {

/// Who wrote the mounts, and so what their options mean.
enum class MountRules {
  lay,           ///< volumes are nosuid and nodev, and options of a bind mount are for all below it
  runtime_spec,  ///< as mount(8) has them: only what begins with "r" is for all below
};

/// Whose ids a bind mount shows.
enum class Owners {
  as_stored,
  of_container,  ///< "idmap": what belongs to 0 at the source belongs to root of the container's user
                 ///< namespace
  of_mount,      ///< by Mount::uid_mappings
};

/// The options of one mount of the spec, sorted by who receives them.
struct MountOptions {
  /// For the mount itself; a propagation is MS_PRIVATE and its like. Of MountRules::lay for it and all below.
  MountAttributes attributes;
  /// For it and all below it, before the others.
  MountAttributes recursive;
  /// Of a bind mount: whether what is mounted below the source comes along ("rbind").
  Recursion recursion = Recursion::no;
  Owners owners = Owners::as_stored;
  Recursion owners_recursion = Recursion::no;  ///< "ridmap"
  bool is_remount = false;                     ///< changes the mount that is in that place already
  bool copies_up = false;  ///< "tmpcopyup": a tmpfs begins with what the image has in its place
  /// What is left belongs to the file system: "size=64m", "newinstance"; the second is empty for a bare flag.
  std::vector<std::pair<std::string, std::optional<std::string>>> data;
};

/// Every name of an option that is no file system's own, sorted.
std::vector<std::string> known_mount_options();

/// Sorts the options of `mount`; the last of two that contradict each other wins. By lay's rules a bind mount
/// gets nosuid and nodev unless it asks for "suid" or "dev", takes no file system options, and no mount may
/// be shared, since none of a container may reach the host: that is invalid. runtime-spec config.md "Linux
/// mount options"; mount(8).
MountOptions parse_mount_options(const Mount& mount, MountRules rules = MountRules::lay);

/// True for "slave", "rprivate" and their like.
bool is_propagation(std::string_view option);

/// True for a bind mount: by type, or by option as the runtime-spec allows.
bool is_bind(const Mount& mount);

/// `path` without ".", "..", doubled and trailing slashes, always absolute; ".." of "/" is "/". Text only:
/// good for comparing, never for opening.
std::string normalize_path(const std::string& path);
/// True when the normalised `path` lies beneath the normalised `folder` (and is not `folder` itself).
bool lies_beneath(const std::string& path, const std::string& folder);

}  // namespace lay::runner
