#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/mount.h"
#include "base/unique_fd.h"
#include "runner/spec.h"

/// User namespaces (user_namespaces(7)) and mounts seen through one (mount_setattr(2), MOUNT_ATTR_IDMAP).
namespace lay::runner {

/// Throws invalid for maps that the kernel refuses or a container cannot be started with: overlaps, more than
/// 340 extents, an id of 0 inside that is nobody's.
void check_id_maps(const Linux& spec);

/// The id on the host that stands for `inside`; empty when it is not mapped.
std::optional<std::uint32_t> host_id(std::span<const IdMapping> maps, std::uint32_t inside);

/// What a user namespace has.
struct IdMaps {
  std::vector<IdMapping> uids;
  std::vector<IdMapping> gids;

  /// The host's ids of root inside.
  uid_t root_uid() const { return host_id(uids, 0).value_or(0); }
  gid_t root_gid() const { return host_id(gids, 0).value_or(0); }
};

/// The maps of one start, and a user namespace that has them, in which nothing runs: mounts are seen through
/// it. The container's own namespace is another one with the same maps.
struct IdMap : IdMaps {
  UniqueFd user_namespace;
};

/// Makes the namespace. The calling process must have one thread.
IdMap make_id_map(std::vector<IdMapping> uids, std::vector<IdMapping> gids);

/// The maps of a user namespace that is there already, and it. Throws invalid for one without a root. The
/// calling process must have one thread.
IdMap read_id_map(UniqueFd user_namespace);

/// Gives the user namespace in which `pid` is alone its maps: /proc/<pid>/uid_map and gid_map.
void write_id_maps(pid_t pid, const IdMap& map);

/// The calling process, which has entered a user namespace, becomes root there.
void become_root_inside();

/// The maps of the user namespace of a process, from /proc/<pid>/uid_map and gid_map.
IdMaps id_maps_of(pid_t pid);

/// A detached copy of the mount at `path`, owners translated by `map`: what belongs to 0 on disk belongs to
/// the container's root. Throws unsupported, with a hint, where the file system cannot do it.
UniqueFd clone_mapped(const std::string& path, const IdMap& map);
/// Translates the owners of a detached mount that nobody has used yet, and of those below.
void map_mount(const UniqueFd& mount, const IdMap& map, Recursion recursion);

/// What this process makes meanwhile belongs to the container's root, while all its own rights stay
/// (setfsuid(2) would take those about files away; capabilities(7), SECBIT_NO_SETUID_FIXUP). Through a mapped
/// mount nothing else can be made: the ids of the host are not in the map.
class FileOwnerGuard {
 public:
  explicit FileOwnerGuard(const IdMap& map);
  FileOwnerGuard(const FileOwnerGuard&) = delete;
  FileOwnerGuard& operator=(const FileOwnerGuard&) = delete;
  ~FileOwnerGuard();

 private:
  unsigned long securebits_;
};

}  // namespace lay::runner
