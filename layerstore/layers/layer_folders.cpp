#include "layers/layer_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "base/error.h"
#include "base/spill_stack.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/inode.h"
#include "overlay/overlay_notation.h"
#include "overlay/symlink_walk.h"
#include "tar/entry_check.h"
#include "tar/entry_path.h"

namespace lay::layerstore {

namespace {

constexpr mode_t kImpliedMode = 0755;

}  // namespace

void LayerFolders::add_lower_links(std::span<const LowerLink> links) {
  for (const LowerLink& link : links) {
    const EntryPath path = parse_entry_path(link.path);
    const UniqueFd& folder = find(path.parent);
    sys::symlink_at(link.target, folder, path.name);
    lower_links_.push_back({link.path, sys::open_at(folder, path.name, O_PATH | O_NOFOLLOW)});
  }
}

bool LayerFolders::is_lower_link(const struct ::stat& status) const {
  return std::any_of(lower_links_.begin(), lower_links_.end(),
                     [&](const MadeLink& link) { return is_same_file(sys::stat_of(link.fd), status); });
}

void LayerFolders::drop_lower_links() {
  for (const MadeLink& link : lower_links_) {
    const EntryPath path = parse_entry_path(link.path);
    const auto folder =
        sys::try_open_in_root(target_, path.parent.empty() ? "." : path.parent, O_PATH | O_DIRECTORY);
    const auto status = folder ? sys::try_stat_at(*folder, path.name) : std::nullopt;
    if (status && is_same_file(sys::stat_of(link.fd), *status)) sys::unlink_at(*folder, path.name);
  }
}

const UniqueFd& LayerFolders::find(const std::string& path) {
  if (current_ && path == current_path_) return current_;
  if (auto fd = try_open_plain_folder(target_, path.empty() ? "." : path)) {
    current_ = std::move(*fd);
    current_place_ = path;
  } else {
    resolve_slowly(path);
  }
  current_path_ = path;
  return current_;
}

std::string LayerFolders::place_of(const std::string& name) const {
  if (name == ".") return current_place_;
  return current_place_.empty() ? name : current_place_ + "/" + name;
}

void LayerFolders::forget() {
  current_.reset();
}

void LayerFolders::make_opaque(const UniqueFd& parent, const std::string& name) {
  set_xattr_at(parent, name, {kOpaqueXattr, "y"});
}

void LayerFolders::add_whiteout(const std::string& path, const std::string& name) {
  const UniqueFd& folder = find(path);
  const auto present = sys::try_stat_at(folder, name);
  if (!present || is_lower_link(*present)) {
    sys::try_unlink_at(folder, name);
    sys::mknod_at(folder, name, S_IFCHR, 0);
    has_whiteouts_ = true;
  } else if (S_ISDIR(present->st_mode)) {
    make_opaque(folder, name);
    implied_.erase(place_of(name));
  }
}

void LayerFolders::note_replaced(const std::string& place) {
  note_entry(place);
  const std::string beneath = place + "/";
  for (auto inner = implied_.lower_bound(beneath); inner != implied_.end() && inner->starts_with(beneath);)
    entered_.insert(implied_.extract(inner++));
}

/// Below an opaque folder nothing is merged, and where nothing is merged the kernel lists the names of
/// whiteouts. The root has nothing above it and is merged all the same. Returns the folders in which
/// whiteouts stay, but the root.
std::vector<std::string> LayerFolders::drop_needless_whiteouts() {
  std::set<std::string> with_whiteouts;
  if (!has_whiteouts_) return {};
  SpillStack<bool> todo(spill_);  // whether the folder's parent is merged
  todo.push("", true);
  while (const auto next = todo.pop()) {
    const std::string& path = next->first;  // clang 14 lets no lambda capture a structured binding
    const bool may_be_merged = next->second;
    const UniqueFd folder = sys::open_beneath(target_, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
    const bool is_merged = may_be_merged && (path.empty() || sys::get_xattr(folder, kOpaqueXattr) != "y");
    bool has_whiteouts = false;
    each_entry(folder, [&](const FolderEntry& entry) {
      const struct ::stat status = sys::stat_at(folder, entry.name);
      if (S_ISDIR(status.st_mode))
        todo.push(path.empty() ? entry.name : path + "/" + entry.name, is_merged);
      else if (is_whiteout_node(status) && !is_merged)
        sys::unlink_at(folder, entry.name);
      else if (is_whiteout_node(status))
        has_whiteouts = true;
    });
    if (has_whiteouts && !path.empty()) with_whiteouts.insert(path);
  }
  return {with_whiteouts.begin(), with_whiteouts.end()};
}

/// Where a walk through the folders stands. What is missing on the way is made: also behind a symlink to a
/// folder that only a lower layer has.
class LayerFolders::Place {
 public:
  explicit Place(LayerFolders& folders) : folders_(folders), folder_(sys::dup_fd(folders.target_)) {}

  UniqueFd take_folder() { return std::move(folder_); }
  std::uint64_t& steps() { return folders_.steps_; }
  std::string path() const { return join(passed_, "/"); }

  void to_root() {
    passed_.clear();
    go_back_to_passed();
  }
  void to_parent() {
    if (!passed_.empty()) passed_.pop_back();
    go_back_to_passed();
  }

  WalkStep step(const std::string& name) {
    const auto status = sys::try_stat_at(folder_, name);
    if (status && S_ISLNK(status->st_mode)) return {WalkStep::Met::symlink, sys::readlink_at(folder_, name)};
    passed_.push_back(name);
    const std::string reached = path();
    if (reached.size() >= PATH_MAX)  // symlinks of symlinks could go on for long
      throw Error::make(Errc::invalid, "its folder's path is longer than {} bytes", PATH_MAX - 1);
    folder_ = folders_.enter(folder_, name, reached);
    return {WalkStep::Met::folder};
  }

 private:
  void go_back_to_passed() {
    folder_ = passed_.empty()
                  ? sys::dup_fd(folders_.target_)
                  : sys::open_in_root(folders_.target_, path(), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }

  LayerFolders& folders_;
  UniqueFd folder_;
  std::vector<std::string> passed_;  // names of folders, none of them a symlink
};

void LayerFolders::resolve_slowly(const std::string& path) {
  Place place(*this);
  if (walk_symlinks(path, place) != WalkResult::arrived)
    throw Error(Errc::invalid, "its folder leads through too many symlinks");
  current_ = place.take_folder();
  current_place_ = place.path();
}

/// Opens a folder, made before if it is missing or was removed by this layer.
UniqueFd LayerFolders::enter(const UniqueFd& parent, const std::string& name, const std::string& place) {
  bool was_removed = false;
  if (!sys::try_mkdir_at(parent, name, kImpliedMode)) {
    const struct ::stat status = sys::stat_at(parent, name);
    if (!is_whiteout_node(status)) {
      if (!S_ISDIR(status.st_mode))
        throw Error::make(Errc::invalid, "'{}' is not a folder", printable(place));
      return sys::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    }
    sys::unlink_at(parent, name);
    sys::mkdir_at(parent, name, kImpliedMode);
    make_opaque(parent, name);
    was_removed = true;
  }
  sys::chown_at(parent, name, 0, 0);
  sys::chmod_at(parent, name, kImpliedMode);  // whatever the umask made of it
  set_late(parent, name, place, timespec{}, std::nullopt);
  if (!was_removed) implied_.insert(place);
  ++implied_count_;
  implied_bytes_ += place.size() + 1;
  require_short_list(implied_bytes_);
  return sys::open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

void LayerFolders::set_late(const UniqueFd& parent, const std::string& name, std::string_view place,
                            const timespec& mtime, std::optional<std::string_view> default_acl) {
  memory_.count_use();
  const struct ::stat status = sys::stat_at(parent, name);
  if (default_acl) default_acl = memory_.keep(*default_acl);
  late_.push_back({memory_.keep(place), status.st_dev, status.st_ino, mtime, default_acl});
}

StackedFolders LayerFolders::finish() {
  forget();
  drop_lower_links();
  StackedFolders folders{.with_whiteouts = drop_needless_whiteouts()};
  PlainFolders opened(target_);
  for (std::size_t i = 0; i < late_.size(); ++i) {
    memory_.count_use();
    const Late& late = late_[i];
    // A folder that a later entry replaced is not there any more, or is another
    // one: it has a note of its own.
    const UniqueFd* const fd = opened.try_open(std::string(late.place));
    if (fd == nullptr) continue;
    const struct ::stat status = sys::stat_of(*fd);
    if (status.st_dev != late.device || status.st_ino != late.inode) continue;
    if (late.default_acl) sys::set_xattr(*fd, std::string(kDefaultAcl), std::string(*late.default_acl));
    set_mtime(*fd, late.mtime);
  }
  for (const std::string& place : implied_)  // a later entry may have removed it
    if (opened.try_open(place) != nullptr) folders.implied.push_back(place);
  folders.entered.assign(entered_.begin(), entered_.end());
  return folders;
}

}  // namespace lay::layerstore
