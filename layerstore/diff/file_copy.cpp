#include "diff/file_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "diff/inode.h"
#include "overlay/overlay_notation.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kPiece = std::uint64_t{16} * 1024 * 1024;
constexpr mode_t kPermissions = 07777;

/// Where copy_file_range(2) cannot.
void copy_by_hand(const UniqueFd& from, const UniqueFd& to, std::uint64_t offset, std::uint64_t end) {
  std::vector<std::byte> buffer(std::size_t{1024} * 1024);
  while (offset < end) {
    throw_if_cancelled();
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), end - offset);
    const std::size_t count = sys::pread_some(from, std::span(buffer).first(wanted), offset);
    if (count == 0) return;  // it has become shorter
    for (std::size_t done = 0; done < count;)
      done += sys::pwrite_some(to, std::span(buffer).subspan(done, count - done), offset + done);
    offset += count;
  }
}

void copy_range(const UniqueFd& from, const UniqueFd& to, std::uint64_t offset, std::uint64_t end) {
  while (offset < end) {
    throw_if_cancelled();
    auto in = static_cast<off_t>(offset);
    auto out = in;
    const ssize_t count = sys::retry_eintr([&] {
      return ::copy_file_range(from.get(), &in, to.get(), &out, std::min(kPiece, end - offset), 0);
    });
    if (count < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
      return copy_by_hand(from, to, offset, end);
    if (count < 0) throw Error::from_errno("copy data");
    if (count == 0) return;
    offset += static_cast<std::uint64_t>(count);
  }
}

}  // namespace

void copy_data(const UniqueFd& from, const UniqueFd& to) {
  const auto size = static_cast<std::uint64_t>(sys::stat_of(from).st_size);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto data = seek_data(from, offset);
    if (!data) break;
    offset = std::min(seek_hole(from, *data), size);
    copy_range(from, to, *data, offset);
  }
  sys::ftruncate(to, size);
}

void copy_attributes(const UniqueFd& from, const std::string& from_name, const struct ::stat& status,
                     const UniqueFd& to, const std::string& to_name) {
  sys::chown_at(to, to_name, status.st_uid, status.st_gid);
  if (!S_ISLNK(status.st_mode)) {
    sys::remove_acls(sys::open_at(to, to_name, O_PATH | O_NOFOLLOW));
    sys::chmod_at(to, to_name, status.st_mode & kPermissions);
  }
  const UniqueFd source = sys::open_at(from, from_name, O_PATH | O_NOFOLLOW);
  for (const std::string& name : sys::list_xattrs(source))
    if (const auto value = sys::get_xattr(source, name))
      set_xattr_at(to, to_name, {stored_xattr_name(name), *value});
  sys::set_mtime_at(to, to_name, status.st_mtim);
}

void copy_inode(const UniqueFd& from, const std::string& name, const struct ::stat& status,
                const UniqueFd& to, const std::string& to_name) {
  if (S_ISREG(status.st_mode)) {
    const UniqueFd source = sys::open_at(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    copy_data(source, sys::open_at(to, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  } else if (S_ISLNK(status.st_mode)) {
    sys::symlink_at(sys::readlink_at(from, name), to, to_name);
  } else {
    sys::mknod_at(to, to_name, (status.st_mode & S_IFMT) | 0600, status.st_rdev);
  }
  copy_attributes(from, name, status, to, to_name);
}

}  // namespace lay::layerstore
