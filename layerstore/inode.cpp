#include "inode.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kSameMount = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

constexpr std::size_t kXattrMax = 65536;  // XATTR_LIST_MAX and XATTR_SIZE_MAX, xattr(7)
constexpr std::size_t kXattrUsual = 256;  // nearly always enough, and on the stack

/// Runs `call(buffer, size)` of the getxattr family with a small buffer first and the largest one if needed.
template <class Call>
std::optional<std::string> sized(Call&& call) {
  std::array<char, kXattrUsual> small;
  const ssize_t count = call(small.data(), small.size());
  if (count >= 0) return std::string(small.data(), static_cast<std::size_t>(count));
  if (errno != ERANGE) return std::nullopt;
  std::string large(kXattrMax, '\0');
  const ssize_t length = call(large.data(), large.size());
  if (length < 0) return std::nullopt;
  large.resize(static_cast<std::size_t>(length));
  return large;
}

/// ext4 says "no space" when a file's attributes exceed what it keeps for one, of which freeing space gives
/// no more.
Error cannot_set(const Xattr& xattr) {
  const int number = errno;
  if (number != ENOSPC && number != E2BIG)
    return Error::from_errno("set extended attribute '{}'", printable(xattr.name));
  return Error::make(Errc::no_space, "extended attribute '{}' of {} bytes finds no room",
                     printable(xattr.name), xattr.value.size())
      .with_hint(
          "many file systems keep only 4 KB of attributes for a file (ext4: mkfs -O ea_inode), or the "
          "disk is full");
}

}  // namespace

std::vector<FolderEntry> read_folder(const UniqueFd& dir) {
  std::vector<FolderEntry> entries;
  alignas(dirent64) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t count = ::getdents64(dir.get(), buffer.data(), buffer.size());
    if (count < 0) throw Error::from_errno("read folder");
    if (count == 0) return entries;
    for (ssize_t offset = 0; offset < count;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer.data() + offset);
      offset += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") entries.push_back({std::string(name), entry->d_type});
    }
  }
}

std::optional<UniqueFd> try_open_same_mount(const UniqueFd& dir, const std::string& name, int flags) {
  open_how how{.flags = static_cast<unsigned>(flags) | O_CLOEXEC | O_NOFOLLOW, .resolve = kSameMount};
  const auto open = [&] {
    return sys::retry_eintr(
        [&] { return ::syscall(SYS_openat2, dir.get(), name.c_str(), &how, sizeof how); });
  };
  if ((flags & O_PATH) == 0) how.flags |= O_NOATIME;  // reading must not write to every inode
  long fd = open();
  if (fd < 0 && errno == EPERM && (how.flags & O_NOATIME) != 0) {  // for the owner and root alone
    how.flags &= ~static_cast<std::uint64_t>(O_NOATIME);
    fd = open();
  }
  if (fd < 0 && errno == EXDEV) return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}'", printable(name));
  return UniqueFd{static_cast<int>(fd)};
}

std::optional<struct ::stat> try_stat_beneath(const UniqueFd& dir, const std::string& path) {
  open_how how{.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW, .resolve = kSameMount};
  const long fd =
      sys::retry_eintr([&] { return ::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof how); });
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV))
    return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}'", printable(path));
  return sys::stat_of(UniqueFd{static_cast<int>(fd)});
}

std::string xattr_names(const UniqueFd& fd, FdKind kind) {
  const auto names = sized([&](char* buffer, std::size_t size) {
    return kind == FdKind::readable ? ::flistxattr(fd.get(), buffer, size)
                                    : ::listxattr(fd_path(fd).c_str(), buffer, size);
  });
  if (!names && errno != ENOTSUP) throw Error::from_errno("list extended attributes");
  return names.value_or("");
}

std::optional<std::string> xattr_value(const UniqueFd& fd, FdKind kind, const std::string& name) {
  auto value = sized([&](char* buffer, std::size_t size) {
    return kind == FdKind::readable ? ::fgetxattr(fd.get(), name.c_str(), buffer, size)
                                    : ::getxattr(fd_path(fd).c_str(), name.c_str(), buffer, size);
  });
  if (!value && errno != ENODATA) throw Error::from_errno("read extended attribute '{}'", printable(name));
  return value;
}

std::optional<std::uint64_t> seek_data(const UniqueFd& fd, std::uint64_t offset) {
  const off_t found = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  if (errno == ENXIO) return std::nullopt;
  if (errno == EINVAL) return offset;
  throw Error::from_errno("look for data behind {}", offset);
}

std::uint64_t seek_hole(const UniqueFd& fd, std::uint64_t offset) {
  const off_t found = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_HOLE);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  if (errno == EINVAL || errno == ENXIO) return std::uint64_t{INT64_MAX};
  throw Error::from_errno("look for a hole behind {}", offset);
}

void rewind(const UniqueFd& fd) {
  if (::lseek(fd.get(), 0, SEEK_SET) < 0) throw Error::from_errno("go back to the start");
}

void read_ahead(const UniqueFd& fd, std::uint64_t offset, std::uint64_t size) {
  ::posix_fadvise(fd.get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
}

void set_owner(const UniqueFd& fd, uid_t uid, gid_t gid) {
  if (::fchown(fd.get(), uid, gid) < 0) throw Error::from_errno("set owner {}:{}", uid, gid);
}

void set_mtime(const UniqueFd& fd, const timespec& time) {
  const std::array<timespec, 2> times{time, time};
  if (::utimensat(fd.get(), "", times.data(), AT_EMPTY_PATH) < 0) throw Error::from_errno("set time");
}

void set_xattr_at(const UniqueFd& dir, const std::string& name, const Xattr& xattr) {
  const std::string path = fd_path(dir) + "/" + name;
  if (::lsetxattr(path.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) < 0)
    throw cannot_set(xattr);
}

void set_xattr_fd(const UniqueFd& fd, const Xattr& xattr) {
  if (::fsetxattr(fd.get(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) < 0)
    throw cannot_set(xattr);
}

void remove_xattr(const UniqueFd& fd, const char* name) {
  if (::removexattr(fd_path(fd).c_str(), name) < 0 && errno != ENODATA && errno != ENOTSUP)
    throw Error::from_errno("remove extended attribute '{}'", name);
}

}  // namespace lay::layerstore
