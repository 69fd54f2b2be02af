#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

/// Thin wrappers, one for each system call, named after it: they retry EINTR, capture errno at once, set
/// O_CLOEXEC, and throw lay::Error with their arguments in the message. Paths are relative to `dir`.
namespace lay::sys {

/// Repeats `call` while it fails with EINTR.
template <class Call>
auto retry_eintr(Call&& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

/// The current directory as a `dir` argument (AT_FDCWD): paths given by the user on the command line.
const UniqueFd& cwd();

UniqueFd open_at(const UniqueFd& dir, const std::string& path, int flags, mode_t mode = 0);
/// Absent (ENOENT) is an empty optional; everything else throws.
std::optional<UniqueFd> try_open_at(const UniqueFd& dir, const std::string& path, int flags, mode_t mode = 0);
/// openat2(2) with RESOLVE_BENEATH: "..", absolute paths and symlinks that leave `dir` fail with EXDEV.
UniqueFd open_beneath(const UniqueFd& dir, const std::string& path, int flags, mode_t mode = 0);
/// openat2(2) with RESOLVE_IN_ROOT: `dir` is "/" for symlinks, ".." and absolute paths; no magic links.
UniqueFd open_in_root(const UniqueFd& dir, const std::string& path, int flags, mode_t mode = 0);
/// As open_in_root; ENOENT and ENOTDIR are an empty optional.
std::optional<UniqueFd> try_open_in_root(const UniqueFd& dir, const std::string& path, int flags);
/// A directory as O_RDONLY | O_DIRECTORY | O_NOFOLLOW.
UniqueFd open_dir(const UniqueFd& dir, const std::string& path);
UniqueFd dup_fd(const UniqueFd& fd);

/// Up to `out.size()` bytes; 0 at the end.
std::size_t read_some(const UniqueFd& fd, std::span<std::byte> out);
std::size_t pread_some(const UniqueFd& fd, std::span<std::byte> out, std::uint64_t offset);
/// As pread_some, and less than `out.size()` bytes only where the file ends.
std::size_t pread_full(const UniqueFd& fd, std::span<std::byte> out, std::uint64_t offset);
/// Up to `bytes.size()` bytes; how many were written.
std::size_t pwrite_some(const UniqueFd& fd, std::span<const std::byte> bytes, std::uint64_t offset);
/// The rest of the file as a string; throws invalid when it is longer than `limit` bytes.
std::string read_all(const UniqueFd& fd, std::size_t limit);
void write_all(const UniqueFd& fd, std::span<const std::byte> bytes);
void write_all(const UniqueFd& fd, std::string_view text);

struct ::stat stat_of(const UniqueFd& fd);
/// fstatat(2) with AT_SYMLINK_NOFOLLOW.
struct ::stat stat_at(const UniqueFd& dir, const std::string& path);
std::optional<struct ::stat> try_stat_at(const UniqueFd& dir, const std::string& path);

void mkdir_at(const UniqueFd& dir, const std::string& path, mode_t mode);
/// mkdirat(2); false when something of that name is there already.
bool try_mkdir_at(const UniqueFd& dir, const std::string& path, mode_t mode);
void mknod_at(const UniqueFd& dir, const std::string& path, mode_t mode, dev_t device);
void symlink_at(const std::string& target, const UniqueFd& dir, const std::string& path);
void link_at(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
             const std::string& to);
/// Gives an O_TMPFILE descriptor a name (linkat(2) through /proc/self/fd); false when the name is taken.
bool try_link_fd(const UniqueFd& fd, const UniqueFd& to_dir, const std::string& to);
std::string readlink_at(const UniqueFd& dir, const std::string& path);
std::optional<std::string> try_readlink_at(const UniqueFd& dir, const std::string& path);
void rename_at(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
               const std::string& to);
/// renameat2(2) with RENAME_NOREPLACE; false when the target is there already.
bool try_rename_noreplace(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
                          const std::string& to);
void unlink_at(const UniqueFd& dir, const std::string& path, int flags = 0);
/// unlinkat(2); false when nothing of that name is there.
bool try_unlink_at(const UniqueFd& dir, const std::string& path, int flags = 0);

/// fsync(2). Its failure is final for the file: never retried, the bytes are to be dropped.
void fsync(const UniqueFd& fd);
/// syncfs(2) of the file system that holds `fd`.
void syncfs(const UniqueFd& fd);
void ftruncate(const UniqueFd& fd, std::uint64_t size);

void fchmod(const UniqueFd& fd, mode_t mode);
void chmod_at(const UniqueFd& dir, const std::string& path, mode_t mode);
/// fchownat(2) with AT_SYMLINK_NOFOLLOW.
void chown_at(const UniqueFd& dir, const std::string& path, uid_t uid, gid_t gid);
/// utimensat(2) with AT_SYMLINK_NOFOLLOW; access and modification time both become `time`.
void set_mtime_at(const UniqueFd& dir, const std::string& path, const timespec& time);

/// Names in the order the kernel gives. Works on O_PATH descriptors and symlinks too.
std::vector<std::string> list_xattrs(const UniqueFd& fd);
std::optional<std::string> get_xattr(const UniqueFd& fd, const std::string& name);
void set_xattr(const UniqueFd& fd, const std::string& name, std::string_view value);
/// Removes both of acl(5)'s attributes: what is made in a folder that has a default ACL starts with them.
/// Works on O_PATH descriptors too.
void remove_acls(const UniqueFd& fd);

/// A random lower-case hexadecimal string of `bytes` random bytes (getrandom(2)).
std::string random_hex(std::size_t bytes);
/// The kernel's boot id (/proc/sys/kernel/random/boot_id).
std::string boot_id();

}  // namespace lay::sys
