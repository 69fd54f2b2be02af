#include "overlay/overlay_index.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/inode.h"
#include "overlay/same_inode.h"

namespace lay::layerstore {

namespace {

constexpr const char* kOrigin = "trusted.overlay.origin";  ///< of an upper's root: written with `index` only
constexpr const char* kUpper = "trusted.overlay.upper";    ///< of an index: whose it is
constexpr const char* kMetacopy = "trusted.overlay.metacopy";  ///< of a file whose content is in the lowers
constexpr const char* kIndex = "index";
constexpr char kMagic = '\xfb';
constexpr std::size_t kTypeAt = 4;
constexpr std::size_t kHandleAt = 21;  // behind version, magic, length, flags, type and the UUID

/// A file handle with room for the longest.
union FileHandle {
  ::file_handle handle;
  std::array<char, sizeof(::file_handle) + MAX_HANDLE_SZ> room;
};

/// Empty when overlay did not write it.
std::optional<FileHandle> parse_handle(std::string_view note) {
  if (note.size() <= kHandleAt || note.size() > kHandleAt + MAX_HANDLE_SZ || note[1] != kMagic)
    return std::nullopt;
  FileHandle result{.room = {}};
  result.handle.handle_bytes = static_cast<unsigned>(note.size() - kHandleAt);
  result.handle.handle_type = static_cast<unsigned char>(note[kTypeAt]);
  std::memcpy(result.handle.f_handle, note.data() + kHandleAt, note.size() - kHandleAt);
  return result;
}

bool is_noted(const std::optional<std::string>& note, const UniqueFd& folder) {
  const auto noted = note ? parse_handle(*note) : std::nullopt;
  FileHandle own{.room = {}};
  own.handle.handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  if (!noted || ::name_to_handle_at(folder.get(), "", &own.handle, &mount, AT_EMPTY_PATH) < 0) return false;
  return own.handle.handle_type == noted->handle.handle_type &&
         own.handle.handle_bytes == noted->handle.handle_bytes &&
         std::memcmp(own.handle.f_handle, noted->handle.f_handle, own.handle.handle_bytes) == 0;
}

/// The index of the overlay, when its work folder lies beside the upper.
std::optional<UniqueFd> find_index(const UniqueFd& upper) {
  const UniqueFd parent = sys::open_dir(upper, "..");
  std::optional<UniqueFd> found;
  each_entry(parent, [&](const FolderEntry& entry) {
    if (found || (entry.type != DT_DIR && entry.type != DT_UNKNOWN)) return;
    auto index = try_open_plain_folder(parent, entry.name + "/" + kIndex);
    if (index && is_noted(xattr_value(*index, FdKind::path_only, kUpper), upper)) found = std::move(index);
  });
  return found;
}

/// O_PATH, or for reading when it is a file.
UniqueFd open_to_compare(UniqueFd inode) {
  if (!S_ISREG(sys::stat_of(inode).st_mode)) return inode;
  return sys::open_at(sys::cwd(), fd_path(inode), O_RDONLY | O_NONBLOCK);
}

/// Whether the file in the index is still what it was in the lowers. Those that cannot be reached by their
/// handle, since they are in another file system, count as changed.
bool is_as_in_lowers(const UniqueFd& upper, const UniqueFd& inode) {
  const auto note = xattr_value(inode, FdKind::path_only, kOrigin);
  auto handle = note ? parse_handle(*note) : std::nullopt;
  if (!handle) return false;
  UniqueFd lower{::open_by_handle_at(upper.get(), &handle->handle, O_PATH | O_NOFOLLOW | O_CLOEXEC)};
  if (!lower || (sys::stat_of(lower).st_mode & S_IFMT) != (sys::stat_of(inode).st_mode & S_IFMT))
    return false;
  const auto compared =
      xattr_value(inode, FdKind::path_only, kMetacopy) ? Compared::all_but_content : Compared::all;
  return are_same_files(open_to_compare(sys::dup_fd(inode)), open_to_compare(std::move(lower)), compared);
}

}  // namespace

OverlayIndex refuse_unnamed_changes(const UniqueFd& upper) {
  if (!xattr_value(upper, FdKind::path_only, kOrigin)) return OverlayIndex::none;
  const auto index = find_index(upper);
  if (!index) return OverlayIndex::elsewhere;
  each_entry(sys::open_dir(*index, "."), [&](const FolderEntry& entry) {
    const UniqueFd inode = sys::open_at(*index, entry.name, O_PATH | O_NOFOLLOW);
    const struct ::stat status = sys::stat_of(inode);
    // Its name in the index is the only one; one that nothing shows any more is taken out of the index
    if (S_ISDIR(status.st_mode) || S_ISCHR(status.st_mode) || status.st_nlink != 1) return;
    if (is_as_in_lowers(upper, inode)) return;
    throw Error::make(Errc::unsupported,
                      "overlay's index has a changed file, '{}', whose names are in the lower layers alone",
                      printable(entry.name))
        .with_hint(
            "write the hard-linked file anew under the name that is left, or mount the overlay with "
            "index=off");
  });
  return OverlayIndex::checked;
}

}  // namespace lay::layerstore
