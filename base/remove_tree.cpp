#include "base/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"

namespace lay {

namespace {

constexpr unsigned kMaxLate = 1000;    // folders that were not empty after all
constexpr std::size_t kMaxOpen = 128;  // folders, each of which takes a descriptor

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

DirStream open_stream(const UniqueFd& parent, const std::string& name, std::uint64_t expected_mount) {
  UniqueFd fd = sys::open_dir(parent, name);
  if (mount_id(fd) != expected_mount)
    throw Error::make(Errc::busy, "remove '{}': something is mounted there", name)
        .with_hint("unmount it first");
  DIR* stream = ::fdopendir(fd.get());
  if (stream == nullptr) throw Error::from_errno("list '{}'", name);
  fd.release();
  return DirStream(stream);
}

/// One open folder on the way down; iterative, so that a deep tree cannot exhaust the stack.
struct Level {
  DirStream stream;
  std::string name;
};

/// Removes entries until a subfolder turns up; its name, or empty when the folder is empty now.
std::string next_folder(const Level& level) {
  const int dir = ::dirfd(level.stream.get());
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(level.stream.get());
    if (entry == nullptr && errno != 0) throw Error::from_errno("list '{}'", level.name);
    if (entry == nullptr) return {};
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) throw Error::from_errno("remove '{}'", name);
    return name;
  }
}

/// rmdir(2); false when something came in since it was listed: whoever works in a folder that is removed may
/// not know it yet.
bool try_remove_folder(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno != ENOTEMPTY) throw Error::from_errno("remove folder '{}'", name);
  return false;
}

/// Puts what lies too deep right beneath the top, where its turn comes: a tree has no end that a descriptor
/// for each level would reach.
void move_up(const Level& deep, const std::string& folder, const Level& top) {
  const std::string name = ".deep-" + sys::random_hex(8);
  if (::renameat(::dirfd(deep.stream.get()), folder.c_str(), ::dirfd(top.stream.get()), name.c_str()) < 0)
    throw Error::from_errno("remove folder '{}'", folder);
}

}  // namespace

void remove_tree(const UniqueFd& dir, const std::string& name) {
  const auto info = sys::try_stat_at(dir, name);
  if (!info) return;
  if (!S_ISDIR(info->st_mode)) return sys::unlink_at(dir, name);

  const std::uint64_t mount = mount_id(dir);
  unsigned late = 0;
  std::vector<Level> levels;
  levels.push_back({open_stream(dir, name, mount), name});
  while (!levels.empty()) {
    const std::string folder = next_folder(levels.back());
    if (!folder.empty() && levels.size() == kMaxOpen) {
      move_up(levels.back(), folder, levels.front());
      late = 0;  // the top is not empty for a good reason
      continue;
    }
    if (!folder.empty()) {
      const UniqueFd parent{::fcntl(::dirfd(levels.back().stream.get()), F_DUPFD_CLOEXEC, 3)};
      levels.push_back({open_stream(parent, folder, mount), folder});
      continue;
    }
    const std::string done = std::move(levels.back().name);
    levels.pop_back();
    const int parent = levels.empty() ? dir.get() : ::dirfd(levels.back().stream.get());
    if (try_remove_folder(parent, done)) continue;
    if (++late > kMaxLate) throw Error::from_number(ENOTEMPTY, fmt::format("remove folder '{}'", done));
    const UniqueFd above{::fcntl(parent, F_DUPFD_CLOEXEC, 3)};
    levels.push_back({open_stream(above, done, mount), done});
  }
}

}  // namespace lay
