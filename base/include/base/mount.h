#pragma once

#include <sys/mount.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

/// The mount system calls by descriptor (fsopen(2) and its kin, Linux 5.2; mount_setattr(2), 5.12), in the
/// style of base/syscalls.h.
namespace lay {

enum class Recursion { no, yes };

/// A file system being configured: fsopen(2). Errors carry what the kernel wrote into the context's log.
class FsContext {
 public:
  explicit FsContext(std::string type);

  void set_flag(const std::string& key);
  /// The kernel takes values of at most 255 bytes.
  void set_string(const std::string& key, const std::string& value);
  /// As set_string; false when the kernel does not know the key, or not this value for it (EINVAL).
  bool try_set_string(const std::string& key, const std::string& value);
  /// Makes the superblock and a detached mount of it; `attributes` are MOUNT_ATTR_*. Unmounted when the
  /// descriptor is closed before it was attached.
  UniqueFd mount(std::uint64_t attributes);

 private:
  Error failure(const std::string& what) const;

  std::string type_;
  UniqueFd fd_;
};

/// A detached copy of the mount at `dir`/`path`, symlinks followed: open_tree(2) with OPEN_TREE_CLONE.
UniqueFd clone_tree(const UniqueFd& dir, const std::string& path, Recursion recursion);
/// A detached copy of the mount of which `fd` is a place.
UniqueFd clone_tree(const UniqueFd& fd, Recursion recursion);

/// Puts the detached mount `mount` on top of `target`: move_mount(2), both ends by descriptor.
void attach_mount(const UniqueFd& mount, const UniqueFd& target);

/// Takes the mount that `fd` is the root of out of the tree, with all below it: umount2(2) with MNT_DETACH.
void detach_mount(const UniqueFd& fd);

/// mount_setattr(2) of the mount that `fd` is the root of. `set` and `clear` are MOUNT_ATTR_*, `propagation`
/// is MS_PRIVATE and its like, or 0.
struct MountAttributes {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t propagation = 0;
};
void set_mount_attributes(const UniqueFd& fd, const MountAttributes& attributes, Recursion recursion);

/// True when `fd` is the root of a mount, bind mounts included: statx(2), STATX_ATTR_MOUNT_ROOT, Linux 5.8.
bool is_mount_root(const UniqueFd& fd);

/// The number that mountinfo gives the mount in which `fd` is; it may be another's when that is gone:
/// statx(2), STATX_MNT_ID, or /proc before Linux 5.8.
std::uint64_t mount_id(const UniqueFd& fd);

/// A number that no other mount has until the machine restarts, on Linux 6.8 and later: statx(2),
/// STATX_MNT_ID_UNIQUE. On others as mount_id().
std::uint64_t unique_mount_id(const UniqueFd& fd);

/// The type of the file system that holds `fd`, as the kernel's magic number: fstatfs(2), linux/magic.h.
std::uint64_t filesystem_magic(const UniqueFd& fd);

/// "/proc/self/fd/N": a path that any mount option can hold, whatever the file's own path is.
std::string fd_path(const UniqueFd& fd);

}  // namespace lay
