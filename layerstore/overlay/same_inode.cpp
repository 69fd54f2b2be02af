#include "overlay/same_inode.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>

#include "base/cancel.h"
#include "base/syscalls.h"
#include "overlay/overlay_notation.h"

namespace lay::layerstore {

namespace {

using Attributes = std::map<std::string, std::string>;

Attributes attributes(const UniqueFd& file) {
  Attributes result;
  for (const std::string& name : sys::list_xattrs(file))
    if (!is_user_mark(name)) result[name] = sys::get_xattr(file, name).value_or("");
  return result;
}

/// Those that a merged view shows.
Attributes shown_attributes(const UniqueFd& file) {
  Attributes result = attributes(file);
  std::erase_if(result, [](const auto& attribute) { return !shown_xattr_name(attribute.first); });
  return result;
}

bool are_alike(const struct ::stat& a, const struct ::stat& b) {
  if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid) return false;
  if (a.st_mtim.tv_sec != b.st_mtim.tv_sec) return false;
  if (S_ISCHR(a.st_mode) || S_ISBLK(a.st_mode)) return a.st_rdev == b.st_rdev;
  return S_ISDIR(a.st_mode) || a.st_size == b.st_size;
}

bool have_same_bytes(const UniqueFd& a, const UniqueFd& b) {
  std::array<std::byte, 65536> a_buffer;
  std::array<std::byte, 65536> b_buffer;
  for (std::uint64_t offset = 0;;) {
    throw_if_cancelled();
    const std::size_t count = sys::pread_full(a, a_buffer, offset);
    const std::size_t other =
        sys::pread_full(b, std::span(b_buffer).first(std::max<std::size_t>(count, 1)), offset);
    if (count != other || !std::equal(a_buffer.begin(), a_buffer.begin() + static_cast<std::ptrdiff_t>(count),
                                      b_buffer.begin()))
      return false;
    if (count == 0) return true;
    offset += count;
  }
}

}  // namespace

bool are_same_inodes(const NamedInode& left, const NamedInode& right) {
  if (!are_alike(left.status, right.status)) return false;
  const int flags = O_PATH | O_NOFOLLOW;
  if (attributes(sys::open_at(left.folder, left.name, flags)) !=
      attributes(sys::open_at(right.folder, right.name, flags)))
    return false;
  return !S_ISLNK(right.status.st_mode) ||
         sys::readlink_at(left.folder, left.name) == sys::readlink_at(right.folder, right.name);
}

bool have_same_content(const UniqueFd& left, const UniqueFd& right, const std::string& name) {
  return have_same_bytes(sys::open_at(left, name, O_RDONLY | O_NOFOLLOW),
                         sys::open_at(right, name, O_RDONLY | O_NOFOLLOW));
}

bool are_same_files(const UniqueFd& left, const UniqueFd& right, Compared compared) {
  const struct ::stat status = sys::stat_of(left);
  return are_alike(status, sys::stat_of(right)) && shown_attributes(left) == shown_attributes(right) &&
         (!S_ISREG(status.st_mode) || compared == Compared::all_but_content || have_same_bytes(left, right));
}

}  // namespace lay::layerstore
