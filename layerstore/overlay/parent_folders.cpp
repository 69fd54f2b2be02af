#include "overlay/parent_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "diff/inode.h"
#include "overlay/overlay_notation.h"

namespace lay::layerstore {

namespace {

/// The layer whose attributes the path has in the stack, and whether a layer above only implies it.
struct Owner {
  std::optional<std::size_t> lower;
  bool is_covered = false;
};

class ParentPlan {
 public:
  ParentPlan(std::span<LowerFolder> lowers, std::span<const StackedFolders> folders) : lowers_(lowers) {
    for (const StackedFolders& of_layer : folders) {
      implied_.emplace_back(of_layer.implied.begin(), of_layer.implied.end());
      with_whiteouts_.emplace_back(of_layer.with_whiteouts.begin(), of_layer.with_whiteouts.end());
    }
  }

  std::vector<ParentFolder> run() {
    for (const std::string& path : all_of(implied_))
      if (const Owner owner = owner_of(path); owner.is_covered && owner.lower) add_with_parents(path);
    for (const std::string& path : all_of(with_whiteouts_))
      if (lists_whiteouts(path)) add_with_parents(path);
    std::vector<ParentFolder> folders;
    for (const auto& [path, owner] : needed_)
      folders.push_back({path, owner.lower ? lowers_[*owner.lower].path() : std::string()});
    return folders;
  }

 private:
  using Paths = std::unordered_set<std::string>;

  static Paths all_of(const std::vector<Paths>& of_layers) {
    Paths all;
    for (const Paths& paths : of_layers) all.insert(paths.begin(), paths.end());
    return all;
  }

  Owner owner_of(const std::string& path) const {
    Owner owner;
    for (std::size_t i = 0; i < lowers_.size(); ++i) {
      const Presence& presence = lowers_[i].at(path);
      const bool is_folder = presence.kind == Presence::Kind::folder;
      if (is_folder && !implied_[i].contains(path)) {
        owner.lower = i;
        return owner;
      }
      if (is_folder) owner.is_covered = true;
      if (presence.hides_below || (!is_folder && presence.kind != Presence::Kind::absent)) break;
    }
    return owner;
  }

  /// Where a folder comes from one layer alone, the kernel lists the names of its whiteouts.
  bool lists_whiteouts(const std::string& path) const {
    const std::vector<std::size_t> merged = merged_at(lowers_, path);
    return merged.size() == 1 && with_whiteouts_[merged.front()].contains(path);
  }

  /// The folders on the way come along, so they need their own attributes as well.
  void add_with_parents(std::string path) {
    while (needed_.try_emplace(path, owner_of(path)).second && !path.empty()) path = parent_of(path);
  }

  std::span<LowerFolder> lowers_;
  std::vector<Paths> implied_;
  std::vector<Paths> with_whiteouts_;
  std::map<std::string, Owner> needed_;  // in byte order parents come first
};

void copy_attributes(const UniqueFd& from, const UniqueFd& to) {
  const struct ::stat status = sys::stat_of(from);
  set_owner(to, status.st_uid, status.st_gid);
  sys::fchmod(to, status.st_mode & 07777U);
  for (const std::string& name : sys::list_xattrs(from)) {
    if (!shown_xattr_name(name)) continue;  // both are lowers
    if (auto value = sys::get_xattr(from, name)) set_xattr_fd(to, {name, std::move(*value)});
  }
  set_mtime(to, status.st_mtim);
}

void set_attributes(const UniqueFd& top, const ParentFolder& folder) {
  const std::string path = folder.path.empty() ? "." : folder.path;
  const UniqueFd to = sys::open_beneath(top, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  sys::remove_acls(to);
  if (folder.source.empty()) {
    sys::fchmod(to, 0755);
    set_mtime(to, timespec{});
    return;
  }
  const UniqueFd source = sys::open_at(sys::cwd(), folder.source, O_PATH | O_DIRECTORY);
  copy_attributes(sys::open_beneath(source, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), to);
}

}  // namespace

std::vector<ParentFolder> plan_parents(std::span<LowerFolder> lowers,
                                       std::span<const StackedFolders> folders) {
  return ParentPlan(lowers, folders).run();
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
