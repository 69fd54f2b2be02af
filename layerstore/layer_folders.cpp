#include "layer_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <climits>
#include <deque>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "inode.h"
#include "overlay_notation.h"

namespace lay::layerstore {

namespace {

constexpr mode_t kImpliedMode = 0755;
constexpr int kMaxSymlinks = 40;  // as the kernel, path_resolution(7)

/// Puts the components of `path` in front of `rest`.
void prepend_components(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  rest.insert(rest.begin(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
}

}  // namespace

const UniqueFd& LayerFolders::find(const std::string& path) {
  if (path.empty()) return target_;
  if (current_ && path == current_path_) return current_;
  auto fd = sys::try_open_in_root(target_, path, O_PATH | O_DIRECTORY);
  current_ = fd ? std::move(*fd) : resolve_slowly(path);
  current_path_ = path;
  return current_;
}

void LayerFolders::forget() {
  current_.reset();
}

void LayerFolders::make_opaque(const UniqueFd& parent, const std::string& name, std::string path) {
  set_xattr_at(parent, name, {kOpaqueXattr, "y"});
  if (!path.empty()) opaque_.insert(std::move(path));
}

void LayerFolders::add_whiteout(const std::string& path, const std::string& name) {
  const UniqueFd& folder = find(path);
  const auto present = sys::try_stat_at(folder, name);
  if (!present) {
    sys::mknod_at(folder, name, S_IFCHR, 0);
    whiteouts_.push_back({path, name});
  } else if (S_ISDIR(present->st_mode)) {
    make_opaque(folder, name, path.empty() ? name : path + "/" + name);
  }
}

bool LayerFolders::lies_in_opaque(std::string_view folder) const {
  while (!folder.empty()) {
    if (opaque_.contains(folder)) return true;
    const std::size_t slash = folder.rfind('/');
    folder = folder.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
  return false;
}

/// Below an opaque folder nothing is merged, and where nothing is merged the kernel
/// lists the names of whiteouts.
void LayerFolders::drop_needless_whiteouts() {
  if (opaque_.empty()) return;
  for (const Whiteout& whiteout : whiteouts_) {
    if (!lies_in_opaque(whiteout.folder)) continue;
    const auto folder = sys::try_open_in_root(target_, whiteout.folder, O_PATH | O_DIRECTORY);
    const auto status = folder ? sys::try_stat_at(*folder, whiteout.name) : std::nullopt;
    if (status && is_whiteout_node(*status)) sys::unlink_at(*folder, whiteout.name);
  }
}

/// Goes by single components, following symlinks itself, so that what is missing on the way can be made: also
/// behind a symlink to a folder that only a lower layer has.
UniqueFd LayerFolders::resolve_slowly(const std::string& path) {
  std::deque<std::string> rest;
  prepend_components(rest, path);
  std::vector<std::string> passed;  // names of folders, none of them a symlink
  UniqueFd folder = sys::dup_fd(target_);
  const auto go_back_to_passed = [&] {
    folder = passed.empty()
                 ? sys::dup_fd(target_)
                 : sys::open_in_root(target_, join(passed, "/"), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  };
  int symlinks = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (!passed.empty()) passed.pop_back();
      go_back_to_passed();
      continue;
    }
    const auto status = sys::try_stat_at(folder, name);
    if (status && S_ISLNK(status->st_mode)) {
      if (++symlinks > kMaxSymlinks) throw Error(Errc::invalid, "its folder leads through too many symlinks");
      const std::string link = sys::readlink_at(folder, name);
      if (link.starts_with('/')) {
        passed.clear();
        go_back_to_passed();
      }
      prepend_components(rest, link);
      continue;
    }
    passed.push_back(name);
    const std::string reached = join(passed, "/");
    if (reached.size() >= PATH_MAX)  // symlinks of symlinks could go on for long
      throw Error::make(Errc::invalid, "its folder's path is longer than {} bytes", PATH_MAX - 1);
    folder = enter(folder, name, reached);
  }
  return folder;
}

/// Opens a folder, made before if it is missing or was removed by this layer.
UniqueFd LayerFolders::enter(const UniqueFd& parent, const std::string& name, const std::string& path) {
  if (!sys::try_mkdir_at(parent, name, kImpliedMode)) {
    const struct ::stat status = sys::stat_at(parent, name);
    if (!is_whiteout_node(status)) {
      if (!S_ISDIR(status.st_mode)) throw Error::make(Errc::invalid, "'{}' is not a folder", printable(path));
      return sys::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    }
    sys::unlink_at(parent, name);
    sys::mkdir_at(parent, name, kImpliedMode);
    make_opaque(parent, name, path);
  }
  sys::chown_at(parent, name, 0, 0);
  sys::chmod_at(parent, name, kImpliedMode);  // whatever the umask made of it
  set_late(parent, name, path, timespec{}, std::nullopt);
  implied_.insert(path);
  return sys::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

void LayerFolders::set_late(const UniqueFd& parent, const std::string& name, std::string path,
                            const timespec& mtime, std::optional<Xattr> default_acl) {
  const struct ::stat status = sys::stat_at(parent, name);
  late_.push_back({std::move(path), status.st_dev, status.st_ino, mtime, std::move(default_acl)});
}

std::vector<std::string> LayerFolders::finish() {
  forget();
  drop_needless_whiteouts();
  for (const Late& late : late_) {
    // A folder that a later entry replaced is not there any more, or is another
    // one: it has a note of its own.
    const auto fd = sys::try_open_in_root(target_, late.path.empty() ? "." : late.path, O_PATH | O_DIRECTORY);
    if (!fd) continue;
    const struct ::stat status = sys::stat_of(*fd);
    if (status.st_dev != late.device || status.st_ino != late.inode) continue;
    if (late.default_acl) sys::set_xattr(*fd, late.default_acl->name, late.default_acl->value);
    set_mtime(*fd, late.mtime);
  }
  std::vector<std::string> implied;
  for (const std::string& path : implied_) {
    const auto status = sys::try_stat_at(target_, path);  // a later entry may have removed it
    if (status && S_ISDIR(status->st_mode)) implied.push_back(path);
  }
  return implied;
}

}  // namespace lay::layerstore
