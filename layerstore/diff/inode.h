#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tar/tar_entry.h"

/// System calls on single inodes that only the walk and the unpacking of layers need; as base/syscalls.h.
namespace lay::layerstore {

/// Whether two names lead to one inode.
inline bool is_same_file(const struct ::stat& a, const struct ::stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

struct FolderEntry {
  std::string name;
  unsigned char type;  ///< DT_REG and so on; DT_UNKNOWN on file systems that do not say
};

/// getdents64(2) to the end, "." and ".." left out, in the kernel's order. What `visit` is called with is
/// valid until it returns; it may remove that name.
void each_entry(const UniqueFd& dir, const std::function<void(const FolderEntry& entry)>& visit);
/// The same at once, for folders that are known to be small.
std::vector<FolderEntry> read_folder(const UniqueFd& dir);

/// openat2(2) of one name in `dir`, never through a symlink; empty when something is mounted there, bind
/// mounts of the same file system included (RESOLVE_NO_XDEV). O_NOATIME is taken when the kernel allows it.
std::optional<UniqueFd> try_open_same_mount(const UniqueFd& dir, const std::string& name, int flags);

/// Opens the folder at a path beneath `dir` (O_PATH); empty when it is not there or leads through a symlink.
std::optional<UniqueFd> try_open_plain_folder(const UniqueFd& dir, const std::string& path);

/// Remembers the folder that was found last, so that what is in it is opened from there, however deep.
class LastFolder {
 public:
  struct Way {
    const UniqueFd& from;
    std::string path;  ///< beneath it
  };
  /// From where to open a path beneath `top`. Valid until keep().
  Way way_to(const UniqueFd& top, const std::string& path) const;
  /// `path` leads to `folder` from the same top.
  const UniqueFd& keep(UniqueFd folder, const std::string& path);

 private:
  UniqueFd folder_;
  std::string path_;
};

/// As try_open_plain_folder() for many folders, one after the other.
class PlainFolders {
 public:
  /// `top` must outlive it.
  explicit PlainFolders(const UniqueFd& top) : top_(top) {}
  /// Valid until the next call; null where there is none.
  const UniqueFd* try_open(const std::string& path);

 private:
  const UniqueFd& top_;
  LastFolder last_;
};

/// fstatat(2) of a path beneath `dir`, never through a symlink; empty when it is not there.
std::optional<struct ::stat> try_stat_beneath(const UniqueFd& dir, const std::string& path);

enum class FdKind {
  readable,
  path_only,  ///< opened with O_PATH: some calls need the way through /proc
};
/// listxattr(2): names separated by NUL, in the kernel's order; empty where there is no support.
std::string xattr_names(const UniqueFd& fd, FdKind kind);
/// getxattr(2); empty when it vanished.
std::optional<std::string> xattr_value(const UniqueFd& fd, FdKind kind, const std::string& name);

/// lseek(2) with SEEK_DATA: where data begin, at `offset` or behind it; empty when none do. A file system
/// that does not know says that all is data.
std::optional<std::uint64_t> seek_data(const UniqueFd& fd, std::uint64_t offset);
/// lseek(2) with SEEK_HOLE: where the data at `offset` end.
std::uint64_t seek_hole(const UniqueFd& fd, std::uint64_t offset);
/// lseek(2) to the start.
void rewind(const UniqueFd& fd);
/// posix_fadvise(2), POSIX_FADV_WILLNEED: a wish, which may fail.
void read_ahead(const UniqueFd& fd, std::uint64_t offset, std::uint64_t size);

/// fchown(2).
void set_owner(const UniqueFd& fd, uid_t uid, gid_t gid);
/// utimensat(2) with AT_EMPTY_PATH, so that it works on O_PATH descriptors too; both times become `time`.
void set_mtime(const UniqueFd& fd, const timespec& time);
/// lsetxattr(2) of `name` in `dir`; a symlink there is not followed.
void set_xattr_at(const UniqueFd& dir, const std::string& name, const Xattr& xattr);
/// fsetxattr(2).
void set_xattr_fd(const UniqueFd& fd, const Xattr& xattr);

}  // namespace lay::layerstore
