#include "base/syscalls.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/error.h"
#include "base/syncing.h"
#include "resolve.h"

namespace lay::sys {

namespace {

/// The path under which an open descriptor, O_PATH included, can be reached by calls that take only paths.
std::string fd_path(const UniqueFd& fd) {
  return fmt::format("/proc/self/fd/{}", fd.get());
}

/// Where an open file is, as this process sees it.
std::string whole_path(const UniqueFd& fd) {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink(fd_path(fd).c_str(), path.data(), path.size());
  return {path.data(), length < 0 ? 0 : static_cast<std::size_t>(length)};
}

/// Names the file: of the file systems that a command uses, one is full or broken.
Error write_failure(const UniqueFd& fd, int error_number) {
  return Error::from_number(error_number, fmt::format("write to '{}'", whole_path(fd)));
}

/// Of a step that makes something in `dir`: by its name there, but on a full file system by its whole path.
Error creation_failure(const UniqueFd& dir, const std::string& path, const char* step) {
  const int number = errno;
  const bool is_full = number == ENOSPC || number == EDQUOT;
  const bool is_beneath = dir.get() != AT_FDCWD && !path.starts_with('/');
  const std::string folder = is_full && is_beneath ? whole_path(dir) + "/" : "";
  return Error::from_number(number, fmt::format("{} '{}{}'", step, folder, path));
}

/// No descriptor goes to what is executed, and no terminal to a process that leads its session.
constexpr int kAlways = O_CLOEXEC | O_NOCTTY;

bool is_absent(int error_number) {
  return error_number == ENOENT || error_number == ENOTDIR;
}

}  // namespace

const UniqueFd& cwd() {
  static const UniqueFd fd{AT_FDCWD};
  return fd;
}

UniqueFd open_at(const UniqueFd& dir, const std::string& path, int flags, mode_t mode) {
  const int fd = retry_eintr([&] { return ::openat(dir.get(), path.c_str(), flags | kAlways, mode); });
  if (fd < 0) throw creation_failure(dir, path, "open");
  return UniqueFd{fd};
}

std::optional<UniqueFd> try_open_at(const UniqueFd& dir, const std::string& path, int flags, mode_t mode) {
  const int fd = retry_eintr([&] { return ::openat(dir.get(), path.c_str(), flags | kAlways, mode); });
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) throw creation_failure(dir, path, "open");
  return UniqueFd{fd};
}

UniqueFd open_beneath(const UniqueFd& dir, const std::string& path, int flags, mode_t mode) {
  const int fd = open_resolved(dir, path, flags, mode, Bounds::beneath);
  if (fd < 0) throw Error::from_errno("open '{}' beneath a folder", path);
  return UniqueFd{fd};
}

UniqueFd open_in_root(const UniqueFd& dir, const std::string& path, int flags, mode_t mode) {
  const int fd = open_resolved(dir, path, flags, mode, Bounds::in_root);
  if (fd < 0) throw Error::from_errno("open '{}' in the image root", path);
  return UniqueFd{fd};
}

std::optional<UniqueFd> try_open_in_root(const UniqueFd& dir, const std::string& path, int flags) {
  const int fd = open_resolved(dir, path, flags, 0, Bounds::in_root);
  if (fd < 0 && is_absent(errno)) return std::nullopt;
  if (fd < 0) throw Error::from_errno("open '{}' in the image root", path);
  return UniqueFd{fd};
}

UniqueFd open_dir(const UniqueFd& dir, const std::string& path) {
  return open_at(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

UniqueFd dup_fd(const UniqueFd& fd) {
  const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw Error::from_errno("duplicate file descriptor {}", fd.get());
  return UniqueFd{copy};
}

std::size_t read_some(const UniqueFd& fd, std::span<std::byte> out) {
  const ssize_t count = retry_eintr([&] { return ::read(fd.get(), out.data(), out.size()); });
  if (count < 0) throw Error::from_errno("read");
  return static_cast<std::size_t>(count);
}

std::size_t pread_some(const UniqueFd& fd, std::span<std::byte> out, std::uint64_t offset) {
  const ssize_t count =
      retry_eintr([&] { return ::pread(fd.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
  if (count < 0) throw Error::from_errno("read at {}", offset);
  return static_cast<std::size_t>(count);
}

std::size_t pread_full(const UniqueFd& fd, std::span<std::byte> out, std::uint64_t offset) {
  std::size_t have = 0;
  while (have < out.size()) {
    const std::size_t count = pread_some(fd, out.subspan(have), offset + have);
    if (count == 0) break;
    have += count;
  }
  return have;
}

std::size_t pwrite_some(const UniqueFd& fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  const ssize_t count =
      retry_eintr([&] { return ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
  if (count < 0) throw write_failure(fd, errno);
  return static_cast<std::size_t>(count);
}

std::string read_all(const UniqueFd& fd, std::size_t limit) {
  constexpr std::size_t kMostAtOnce = 1024UL * 1024;
  std::string text;
  std::array<std::byte, 4096> small;  // most files are shorter
  std::vector<std::byte> large;
  std::span<std::byte> buffer(small);
  while (const std::size_t count = read_some(fd, buffer)) {
    if (text.size() + count > limit) throw Error::make(Errc::invalid, "file is longer than {} bytes", limit);
    text.append(reinterpret_cast<const char*>(buffer.data()), count);
    if (count < buffer.size() || count == kMostAtOnce) continue;
    large.resize(4 * buffer.size());  // a long one takes few calls
    buffer = large;
  }
  return text;
}

void write_all(const UniqueFd& fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry_eintr([&] { return ::write(fd.get(), bytes.data(), bytes.size()); });
    if (count < 0) throw write_failure(fd, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void write_all(const UniqueFd& fd, std::string_view text) {
  write_all(fd, std::as_bytes(std::span(text)));
}

struct ::stat stat_of(const UniqueFd& fd) {
  struct ::stat result {};
  if (::fstatat(fd.get(), "", &result, AT_EMPTY_PATH) < 0) throw Error::from_errno("stat");
  return result;
}

struct ::stat stat_at(const UniqueFd& dir, const std::string& path) {
  struct ::stat result {};
  if (::fstatat(dir.get(), path.c_str(), &result, AT_SYMLINK_NOFOLLOW) < 0)
    throw Error::from_errno("stat '{}'", path);
  return result;
}

std::optional<struct ::stat> try_stat_at(const UniqueFd& dir, const std::string& path) {
  struct ::stat result {};
  if (::fstatat(dir.get(), path.c_str(), &result, AT_SYMLINK_NOFOLLOW) == 0) return result;
  if (is_absent(errno)) return std::nullopt;
  throw Error::from_errno("stat '{}'", path);
}

void mkdir_at(const UniqueFd& dir, const std::string& path, mode_t mode) {
  if (::mkdirat(dir.get(), path.c_str(), mode) < 0) throw creation_failure(dir, path, "create folder");
}

bool try_mkdir_at(const UniqueFd& dir, const std::string& path, mode_t mode) {
  if (::mkdirat(dir.get(), path.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  throw creation_failure(dir, path, "create folder");
}

void mknod_at(const UniqueFd& dir, const std::string& path, mode_t mode, dev_t device) {
  if (::mknodat(dir.get(), path.c_str(), mode, device) < 0) throw Error::from_errno("create node '{}'", path);
}

void symlink_at(const std::string& target, const UniqueFd& dir, const std::string& path) {
  if (::symlinkat(target.c_str(), dir.get(), path.c_str()) < 0)
    throw Error::from_errno("create symlink '{}'", path);
}

void link_at(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
             const std::string& to) {
  if (::linkat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str(), 0) < 0)
    throw Error::from_errno("link '{}' to '{}'", from, to);
}

bool try_link_fd(const UniqueFd& fd, const UniqueFd& to_dir, const std::string& to) {
  if (::linkat(AT_FDCWD, fd_path(fd).c_str(), to_dir.get(), to.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  throw Error::from_errno("link '{}'", to);
}

std::string readlink_at(const UniqueFd& dir, const std::string& path) {
  if (auto target = try_readlink_at(dir, path)) return *std::move(target);
  throw Error::from_number(ENOENT, fmt::format("read symlink '{}'", path));
}

std::optional<std::string> try_readlink_at(const UniqueFd& dir, const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t count = ::readlinkat(dir.get(), path.c_str(), target.data(), target.size());
  if (count < 0 && errno == ENOENT) return std::nullopt;
  if (count < 0) throw Error::from_errno("read symlink '{}'", path);
  target.resize(static_cast<std::size_t>(count));
  return target;
}

void rename_at(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
               const std::string& to) {
  if (::renameat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str()) < 0)
    throw Error::from_errno("rename '{}' to '{}'", from, to);
}

namespace {

/// Where a file system (NFS, many of FUSE) takes no flags: a second name is never given over another one, and
/// a folder takes the place of an empty one at most.
int rename_without_flags(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
                         const std::string& to) {
  if (S_ISDIR(stat_at(from_dir, from).st_mode))
    return ::renameat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str());
  const int result = ::linkat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str(), 0);
  return result < 0 ? result : ::unlinkat(from_dir.get(), from.c_str(), 0);
}

}  // namespace

bool try_rename_noreplace(const UniqueFd& from_dir, const std::string& from, const UniqueFd& to_dir,
                          const std::string& to) {
  int result = ::renameat2(from_dir.get(), from.c_str(), to_dir.get(), to.c_str(), RENAME_NOREPLACE);
  if (result < 0 && (errno == EINVAL || errno == ENOSYS))
    result = rename_without_flags(from_dir, from, to_dir, to);
  if (result == 0) return true;
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  throw Error::from_errno("rename '{}' to '{}'", from, to);
}

void unlink_at(const UniqueFd& dir, const std::string& path, int flags) {
  if (::unlinkat(dir.get(), path.c_str(), flags) < 0) throw Error::from_errno("remove '{}'", path);
}

bool try_unlink_at(const UniqueFd& dir, const std::string& path, int flags) {
  if (::unlinkat(dir.get(), path.c_str(), flags) == 0) return true;
  if (errno == ENOENT) return false;
  throw Error::from_errno("remove '{}'", path);
}

void fsync(const UniqueFd& fd) {
  if (is_syncing() && ::fsync(fd.get()) < 0) throw Error::from_errno("sync to disk");
}

void syncfs(const UniqueFd& fd) {
  if (is_syncing() && ::syncfs(fd.get()) < 0) throw Error::from_errno("sync file system");
}

void ftruncate(const UniqueFd& fd, std::uint64_t size) {
  if (retry_eintr([&] { return ::ftruncate(fd.get(), static_cast<off_t>(size)); }) < 0)
    throw Error::from_errno("set length to {}", size);
}

void fchmod(const UniqueFd& fd, mode_t mode) {
  if (::fchmod(fd.get(), mode) < 0) throw Error::from_errno("set mode {:o}", mode);
}

void chmod_at(const UniqueFd& dir, const std::string& path, mode_t mode) {
  if (::fchmodat(dir.get(), path.c_str(), mode, 0) < 0)
    throw Error::from_errno("set mode {:o} of '{}'", mode, path);
}

void chown_at(const UniqueFd& dir, const std::string& path, uid_t uid, gid_t gid) {
  if (::fchownat(dir.get(), path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
    throw Error::from_errno("set owner {}:{} of '{}'", uid, gid, path);
}

void set_mtime_at(const UniqueFd& dir, const std::string& path, const timespec& time) {
  const std::array<timespec, 2> times{time, time};
  if (::utimensat(dir.get(), path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) < 0)
    throw Error::from_errno("set time of '{}'", path);
}

std::vector<std::string> list_xattrs(const UniqueFd& fd) {
  std::string names(256, '\0');  // most have none
  ssize_t count = ::listxattr(fd_path(fd).c_str(), names.data(), names.size());
  if (count < 0 && errno == ERANGE) {
    names.resize(65536);  // XATTR_LIST_MAX, xattr(7)
    count = ::listxattr(fd_path(fd).c_str(), names.data(), names.size());
  }
  if (count < 0 && errno == ENOTSUP) return {};
  if (count < 0) throw Error::from_errno("list extended attributes");
  std::vector<std::string> result;
  for (std::size_t begin = 0; begin < static_cast<std::size_t>(count);) {
    result.emplace_back(names.c_str() + begin);
    begin += result.back().size() + 1;
  }
  return result;
}

std::optional<std::string> get_xattr(const UniqueFd& fd, const std::string& name) {
  std::string value(256, '\0');
  for (;;) {
    const ssize_t count = ::getxattr(fd_path(fd).c_str(), name.c_str(), value.data(), value.size());
    if (count >= 0) {
      value.resize(static_cast<std::size_t>(count));
      return value;
    }
    if (errno == ENODATA || errno == ENOTSUP) return std::nullopt;
    if (errno != ERANGE || value.size() >= 65536)  // XATTR_SIZE_MAX, xattr(7)
      throw Error::from_errno("read extended attribute '{}'", name);
    value.resize(65536);
  }
}

void remove_acls(const UniqueFd& fd) {
  for (const char* name : {"system.posix_acl_access", "system.posix_acl_default"})
    if (::removexattr(fd_path(fd).c_str(), name) < 0 && errno != ENODATA && errno != ENOTSUP)
      throw Error::from_errno("remove extended attribute '{}'", name);
}

void set_xattr(const UniqueFd& fd, const std::string& name, std::string_view value) {
  if (::setxattr(fd_path(fd).c_str(), name.c_str(), value.data(), value.size(), 0) < 0)
    throw Error::from_errno("set extended attribute '{}'", name);
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(bytes))
    throw Error::from_errno("get {} random bytes", bytes);
  std::string text;
  for (const char c : raw) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string boot_id() {
  const UniqueFd fd = open_at(cwd(), "/proc/sys/kernel/random/boot_id", O_RDONLY);
  std::string id = read_all(fd, 64);
  if (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace lay::sys
