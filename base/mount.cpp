#include "base/mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay {

namespace {

constexpr unsigned kEmptyPath = AT_EMPTY_PATH;

unsigned recursive_flag(Recursion recursion) {
  return recursion == Recursion::yes ? unsigned{AT_RECURSIVE} : 0U;
}

/// proc(5), "/proc/[pid]/fdinfo".
std::uint64_t mount_number_in_proc(const UniqueFd& fd) {
  constexpr std::string_view kKey = "mnt_id:";
  const std::string path = fmt::format("/proc/self/fdinfo/{}", fd.get());
  for (const std::string& line : split(sys::read_all(sys::open_at(sys::cwd(), path, O_RDONLY), 4096), '\n')) {
    const auto number = parse_number(std::string_view(line).substr(line.find_last_of(" \t") + 1));
    if (number && line.starts_with(kKey)) return *number;
  }
  throw Error::make(Errc::unsupported, "'{}' tells no mount", path);
}

/// Linux before 5.8 has no numbers of mounts in statx(2), and leaves 0.
std::uint64_t mount_number(const UniqueFd& fd, unsigned which) {
  struct ::statx info {};
  if (::statx(fd.get(), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, which, &info) < 0)
    throw Error::from_errno("ask for the mount of a file");
  return (info.stx_mask & which) != 0 ? info.stx_mnt_id : mount_number_in_proc(fd);
}

UniqueFd open_tree_clone(int dir, const std::string& path, unsigned flags) {
  const int fd = sys::retry_eintr(
      [&] { return ::open_tree(dir, path.c_str(), OPEN_TREE_CLONE | unsigned{OPEN_TREE_CLOEXEC} | flags); });
  if (fd < 0) throw Error::from_errno("take a copy of the mount at '{}'", printable(path));
  return UniqueFd{fd};
}

}  // namespace

FsContext::FsContext(std::string type)
    : type_(std::move(type)), fd_(::fsopen(type_.c_str(), FSOPEN_CLOEXEC)) {
  if (!fd_) throw Error::from_errno("open a file system context for '{}'", type_);
}

Error FsContext::failure(const std::string& what) const {
  const int number = errno;
  std::string reasons;
  std::array<char, 512> line{};
  // One message for each read; the second character is a space, the first the level: "e overlay: ...".
  for (ssize_t size = 0; (size = ::read(fd_.get(), line.data(), line.size())) > 2;) {
    std::string_view message(line.data() + 2, static_cast<std::size_t>(size) - 2);
    while (message.ends_with('\n')) message.remove_suffix(1);
    reasons += fmt::format(": {}", printable(message));
  }
  return Error::from_number(number, fmt::format("file system '{}': {}{}", type_, what, reasons));
}

void FsContext::set_flag(const std::string& key) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) < 0)
    throw failure(fmt::format("set '{}'", printable(key)));
}

void FsContext::set_string(const std::string& key, const std::string& value) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) < 0)
    throw failure(fmt::format("set '{}' to '{}'", printable(key), printable(value)));
}

bool FsContext::try_set_string(const std::string& key, const std::string& value) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) == 0) return true;
  if (errno == EINVAL) return false;
  throw failure(fmt::format("set '{}' to '{}'", printable(key), printable(value)));
}

UniqueFd FsContext::mount(std::uint64_t attributes) {
  if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) throw failure("create");
  const int mount = ::fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  if (mount < 0) throw failure("mount");
  return UniqueFd{mount};
}

UniqueFd clone_tree(const UniqueFd& dir, const std::string& path, Recursion recursion) {
  return open_tree_clone(dir.get(), path, recursive_flag(recursion));
}

UniqueFd clone_tree(const UniqueFd& fd, Recursion recursion) {
  return open_tree_clone(fd.get(), "", kEmptyPath | recursive_flag(recursion));
}

void attach_mount(const UniqueFd& mount, const UniqueFd& target) {
  if (::move_mount(mount.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
    throw Error::from_errno("attach the mount");
}

void detach_mount(const UniqueFd& fd) {
  if (::umount2(fd_path(fd).c_str(), MNT_DETACH) < 0) throw Error::from_errno("detach the mount");
}

void set_mount_attributes(const UniqueFd& fd, const MountAttributes& attributes, Recursion recursion) {
  ::mount_attr request{.attr_set = attributes.set,
                       .attr_clr = attributes.clear,
                       .propagation = attributes.propagation,
                       .userns_fd = 0};
  if (::mount_setattr(fd.get(), "", kEmptyPath | recursive_flag(recursion), &request, sizeof request) < 0)
    throw Error::from_errno("set mount attributes (set {:#x}, clear {:#x}, propagation {:#x})",
                            attributes.set, attributes.clear, attributes.propagation);
}

bool is_mount_root(const UniqueFd& fd) {
  struct ::statx info {};
  if (::statx(fd.get(), "", AT_EMPTY_PATH, 0, &info) < 0) throw Error::from_errno("ask for the mount");
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

std::uint64_t mount_id(const UniqueFd& fd) {
  return mount_number(fd, STATX_MNT_ID);
}

std::uint64_t unique_mount_id(const UniqueFd& fd) {
  constexpr unsigned kUniqueMountId = 0x4000;  // STATX_MNT_ID_UNIQUE, which Debian 12's headers lack
  return mount_number(fd, STATX_MNT_ID | kUniqueMountId);
}

std::uint64_t filesystem_magic(const UniqueFd& fd) {
  struct ::statfs info {};
  if (::fstatfs(fd.get(), &info) < 0) throw Error::from_errno("ask for the file system type");
  return static_cast<std::uint64_t>(info.f_type);
}

std::string fd_path(const UniqueFd& fd) {
  return fmt::format("/proc/self/fd/{}", fd.get());
}

}  // namespace lay
