#include "rootfs/copy_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr int kLook = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

void copy_xattrs(const UniqueFd& from, const UniqueFd& to) {
  for (const std::string& name : sys::list_xattrs(from)) {
    if (name.starts_with("trusted.overlay.")) continue;
    try {
      if (const auto value = sys::get_xattr(from, name)) sys::set_xattr(to, name, *value);
    } catch (const Error& error) {
      if (error.error_number() != EOPNOTSUPP) throw;  // what a tmpfs cannot hold
    }
  }
}

/// Where data begin at `offset` or behind it; the end of the file when none do: lseek(2), SEEK_DATA.
off_t next_data(const UniqueFd& file, off_t offset, off_t end) {
  const off_t found = ::lseek(file.get(), offset, SEEK_DATA);
  if (found >= 0) return found;
  return errno == ENXIO ? end : offset;  // a file system without holes
}

void copy_data(const UniqueFd& from, const UniqueFd& to, off_t end) {
  std::array<std::byte, 64UL * 1024> buffer;
  for (off_t offset = next_data(from, 0, end); offset < end; offset = next_data(from, offset, end)) {
    const std::size_t size = sys::pread_some(from, buffer, static_cast<std::uint64_t>(offset));
    if (size == 0) break;
    ::lseek(to.get(), offset, SEEK_SET);
    sys::write_all(to, std::span<const std::byte>(buffer.data(), size));
    offset += static_cast<off_t>(size);
  }
  sys::ftruncate(to, static_cast<std::uint64_t>(end));
}

void set_owner_and_mode(const UniqueFd& folder, const std::string& name, const struct ::stat& info) {
  sys::chown_at(folder, name, info.st_uid, info.st_gid);
  if (!S_ISLNK(info.st_mode))
    sys::chmod_at(folder, name, info.st_mode & 07777);  // after chown, which takes bits
  sys::set_mtime_at(folder, name, info.st_mtim);
}

void copy_contents(const UniqueFd& from, const UniqueFd& to);

void copy_entry(const UniqueFd& from, const UniqueFd& to, const std::string& name) {
  const struct ::stat info = sys::stat_at(from, name);
  if (S_ISDIR(info.st_mode)) {
    if (info.st_dev != sys::stat_of(from).st_dev) return;  // mounted there
    sys::mkdir_at(to, name, 0700);
    const UniqueFd source = sys::open_at(from, name, kLook | O_DIRECTORY);
    const UniqueFd copy = sys::open_at(to, name, kLook | O_DIRECTORY);
    copy_contents(source, copy);
    copy_xattrs(source, copy);
  } else if (S_ISREG(info.st_mode)) {
    const UniqueFd source = sys::open_at(from, name, kLook);
    const UniqueFd copy = sys::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    copy_data(source, copy, info.st_size);
    copy_xattrs(source, copy);
  } else if (S_ISLNK(info.st_mode)) {
    sys::symlink_at(sys::readlink_at(from, name), to, name);
  } else {
    sys::mknod_at(to, name, info.st_mode, info.st_rdev);
  }
  set_owner_and_mode(to, name, info);
}

void copy_contents(const UniqueFd& from, const UniqueFd& to) {
  for (const std::string& name : list_names(from))
    with_context(fmt::format("copy '{}'", printable(name)), [&] { copy_entry(from, to, name); });
}

}  // namespace

void copy_folder(const UniqueFd& from, const UniqueFd& to) {
  const UniqueFd source = sys::open_dir(from, ".");
  const UniqueFd copy = sys::open_dir(to, ".");
  copy_contents(source, copy);
  copy_xattrs(source, copy);
}

}  // namespace lay::runner
