#include "diff/inode.h"

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

void each_entry(const UniqueFd& dir, const std::function<void(const FolderEntry& entry)>& visit) {
  FolderEntry found{};
  alignas(dirent64) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t count = ::getdents64(dir.get(), buffer.data(), buffer.size());
    if (count < 0) throw Error::from_errno("read folder");
    if (count == 0) return;
    for (ssize_t offset = 0; offset < count;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer.data() + offset);
      offset += entry->d_reclen;
      found.name = entry->d_name;
      found.type = entry->d_type;
      if (found.name != "." && found.name != "..") visit(found);
    }
  }
}

std::vector<FolderEntry> read_folder(const UniqueFd& dir) {
  std::vector<FolderEntry> entries;
  each_entry(dir, [&](const FolderEntry& entry) { entries.push_back(entry); });
  return entries;
}

namespace {

/// Before openat2(2), Linux 5.6.
std::optional<UniqueFd> open_and_compare(const UniqueFd& dir, const std::string& name, int flags) {
  UniqueFd place = sys::open_at(dir, name, O_PATH | O_NOFOLLOW | (flags & O_DIRECTORY));
  if (mount_id(place) != mount_id(dir)) return std::nullopt;
  if ((flags & O_PATH) != 0) return place;
  const auto open = [&](int with) { return ::open(fd_path(place).c_str(), with & ~O_NOFOLLOW); };
  int fd = open(flags | O_NOATIME);
  if (fd < 0 && errno == EPERM) fd = open(flags & ~O_NOATIME);
  if (fd < 0) throw Error::from_errno("open '{}'", printable(name));
  return UniqueFd{fd};
}

}  // namespace

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
  if (fd < 0 && errno == ENOSYS) return open_and_compare(dir, name, static_cast<int>(how.flags));
  if (fd < 0 && errno == EXDEV) return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}'", printable(name));
  return UniqueFd{static_cast<int>(fd)};
}

namespace {

/// O_PATH, never through a symlink; negative with errno.
int open_plain(const UniqueFd& dir, const std::string& path, std::uint64_t flags) {
  open_how how{.flags = flags | O_PATH | O_CLOEXEC | O_NOFOLLOW, .resolve = kSameMount};
  return static_cast<int>(
      sys::retry_eintr([&] { return ::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof how); }));
}

bool is_not_plain(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
}

/// Before openat2(2), Linux 5.6.
std::optional<UniqueFd> walk_plain(const UniqueFd& dir, const std::string& path) {
  UniqueFd folder = sys::dup_fd(dir);
  for (const std::string& name : split(path, '/')) {
    const int next = ::openat(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && is_not_plain(errno)) return std::nullopt;
    if (next < 0) throw Error::from_errno("open '{}'", printable(path));
    folder = UniqueFd{next};
  }
  return folder;
}

std::optional<struct ::stat> walk_to_status(const UniqueFd& dir, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return sys::try_stat_at(dir, path);
  const auto folder = walk_plain(dir, path.substr(0, slash));
  return folder ? sys::try_stat_at(*folder, path.substr(slash + 1)) : std::nullopt;
}

}  // namespace

std::optional<UniqueFd> try_open_plain_folder(const UniqueFd& dir, const std::string& path) {
  const int fd = open_plain(dir, path, O_DIRECTORY);
  if (fd < 0 && errno == ENOSYS) return walk_plain(dir, path);
  if (fd < 0 && is_not_plain(errno)) return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}'", printable(path));
  return UniqueFd{fd};
}

LastFolder::Way LastFolder::way_to(const UniqueFd& top, const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  const bool is_in_it =
      folder_ && slash != std::string::npos && std::string_view(path).substr(0, slash) == path_;
  return is_in_it ? Way{folder_, path.substr(slash + 1)} : Way{top, path};
}

const UniqueFd& LastFolder::keep(UniqueFd folder, const std::string& path) {
  folder_ = std::move(folder);
  path_ = path;
  return folder_;
}

const UniqueFd* PlainFolders::try_open(const std::string& path) {
  const LastFolder::Way way = last_.way_to(top_, path);
  auto folder = try_open_plain_folder(way.from, way.path.empty() ? "." : way.path);
  return folder ? &last_.keep(std::move(*folder), path) : nullptr;
}

std::optional<struct ::stat> try_stat_beneath(const UniqueFd& dir, const std::string& path) {
  const int fd = open_plain(dir, path, 0);
  if (fd < 0 && errno == ENOSYS) return walk_to_status(dir, path);
  if (fd < 0 && is_not_plain(errno)) return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}'", printable(path));
  return sys::stat_of(UniqueFd{fd});
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

}  // namespace lay::layerstore
