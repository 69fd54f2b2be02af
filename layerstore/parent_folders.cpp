#include "parent_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "inode.h"
#include "overlay_notation.h"

namespace lay::layerstore {

namespace {

/// What one layer has at a path.
struct Presence {
  bool is_folder = false;
  bool hides_below = false;  ///< nothing of the lower layers shows at the path
};

bool is_opaque(const UniqueFd& folder) {
  return sys::get_xattr(folder, kOpaqueXattr) == "y";
}

Presence look_up(const UniqueFd& lower, const std::string& path) {
  UniqueFd folder = sys::dup_fd(lower);
  Presence presence{.is_folder = true, .hides_below = false};
  for (const std::string& name : split(path, '/')) {
    if (name.empty()) continue;
    auto next = sys::try_open_at(folder, name, O_PATH | O_NOFOLLOW);
    if (!next) return {.is_folder = false, .hides_below = presence.hides_below};
    if (!S_ISDIR(sys::stat_of(*next).st_mode)) return {.is_folder = false, .hides_below = true};
    presence.hides_below = presence.hides_below || is_opaque(*next);
    folder = std::move(*next);
  }
  return presence;
}

/// The layer whose attributes the path has in the stack, and whether a layer above only implies it.
struct Owner {
  std::optional<std::size_t> lower;
  bool is_covered = false;
};

class ParentPlan {
 public:
  ParentPlan(const std::vector<std::string>& lowers, const std::vector<std::vector<std::string>>& implied)
      : lowers_(lowers) {
    for (const std::string& lower : lowers)
      folders_.push_back(sys::open_at(sys::cwd(), lower, O_PATH | O_DIRECTORY));
    for (const std::vector<std::string>& paths : implied) implied_.emplace_back(paths.begin(), paths.end());
  }

  std::vector<ParentFolder> run() {
    // Nothing lies below the lowest layer
    for (std::size_t i = 0; i + 1 < implied_.size(); ++i)
      for (const std::string& path : implied_[i])
        if (const Owner owner = owner_of(path); owner.is_covered && owner.lower) add_with_parents(path);
    std::vector<ParentFolder> folders;
    for (const auto& [path, owner] : needed_)
      folders.push_back({path, owner.lower ? lowers_[*owner.lower] : std::string()});
    return folders;
  }

 private:
  Owner owner_of(const std::string& path) const {
    Owner owner;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      const Presence presence = look_up(folders_[i], path);
      if (presence.is_folder && !implied_[i].contains(path)) {
        owner.lower = i;
        return owner;
      }
      if (presence.is_folder) owner.is_covered = true;
      if (presence.hides_below) break;
    }
    return owner;
  }

  /// The folders on the way come along, so they need their own attributes as well.
  void add_with_parents(std::string path) {
    while (needed_.try_emplace(path, owner_of(path)).second && !path.empty()) {
      const std::size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  }

  const std::vector<std::string>& lowers_;
  std::vector<UniqueFd> folders_;
  std::vector<std::set<std::string>> implied_;
  std::map<std::string, Owner> needed_;  // in byte order parents come first
};

void copy_attributes(const UniqueFd& from, const UniqueFd& to) {
  const struct ::stat status = sys::stat_of(from);
  set_owner(to, status.st_uid, status.st_gid);
  sys::fchmod(to, status.st_mode & 07777U);
  for (const std::string& name : sys::list_xattrs(from)) {
    if (overlay_xattr(name)) continue;
    if (auto value = sys::get_xattr(from, name)) set_xattr_fd(to, {name, std::move(*value)});
  }
  set_mtime(to, status.st_mtim);
}

void set_attributes(const UniqueFd& top, const ParentFolder& folder) {
  const std::string path = folder.path.empty() ? "." : folder.path;
  const UniqueFd to = sys::open_beneath(top, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (folder.source.empty()) {
    sys::fchmod(to, 0755);
    set_mtime(to, timespec{});
    return;
  }
  const UniqueFd source = sys::open_at(sys::cwd(), folder.source, O_PATH | O_DIRECTORY);
  copy_attributes(sys::open_beneath(source, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), to);
}

}  // namespace

std::vector<ParentFolder> plan_parents(const std::vector<std::string>& lowers,
                                       const std::vector<std::vector<std::string>>& implied) {
  const bool none =
      std::all_of(implied.begin(), implied.end(), [](const auto& paths) { return paths.empty(); });
  if (none || lowers.size() < 2) return {};
  return ParentPlan(lowers, implied).run();
}

void make_parents(const UniqueFd& dir, const std::string& name, const std::vector<ParentFolder>& folders) {
  if (sys::try_stat_at(dir, name)) return;
  const std::string making = name + ".new";
  remove_tree(dir, making);  // of one that was killed
  sys::mkdir_at(dir, making, 0700);
  const UniqueFd top = sys::open_dir(dir, making);
  for (const ParentFolder& folder : folders)
    if (!folder.path.empty()) sys::mkdir_at(top, folder.path, 0700);
  // What is made in a folder changes its time, so the inner ones come first
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) set_attributes(top, *folder);
  sys::rename_at(dir, making, dir, name);
}

}  // namespace lay::layerstore
