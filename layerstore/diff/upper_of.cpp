#include "layerstore/upper_of.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/file_copy.h"
#include "diff/inode.h"
#include "overlay/overlay_notation.h"
#include "overlay/same_inode.h"

namespace lay::layerstore {

namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

using Status = std::optional<struct ::stat>;
using Folder = std::optional<UniqueFd>;
using InodeId = std::pair<dev_t, ino_t>;

InodeId id_of(const struct ::stat& status) {
  return {status.st_dev, status.st_ino};
}

bool is_folder(const Status& status) {
  return status && S_ISDIR(status->st_mode);
}

Folder open_folder(const UniqueFd& root, const std::string& path) {
  return sys::try_open_in_root(root, path.empty() ? "." : path, kFolderFlags);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

class UpperMaker {
 public:
  UpperMaker(const TreeChange& change, const UniqueFd& upper)
      : change_(change), upper_(upper), device_(sys::stat_of(change.after).st_dev) {}

  void run() {
    make_folder("");
    pending_.push_back({.path = {}, .was_folder = true});
    while (!pending_.empty()) {
      throw_if_cancelled();
      const Pending next = std::move(pending_.back());
      pending_.pop_back();
      compare_folder(next.path, next.was_folder ? open_folder(change_.before, next.path) : std::nullopt);
    }
    for (const auto& [id, paths] : linked_)
      if (is_linked_otherwise(id)) copied_.insert(id);
    for (const InodeId& id : copied_)
      if (const auto group = linked_.find(id); group != linked_.end())
        for (const std::string& path : group->second) copy(path);
    set_folder_times();
  }

 private:
  struct Pending {
    std::string path;
    bool was_folder;  ///< before; a symlink there must not lead to another one
  };

  void compare_folder(const std::string& path, const Folder& before) {
    const Folder after = open_folder(change_.after, path);
    if (!after) throw Error::make(Errc::busy, "'/{}' has changed while it was read", printable(path));
    std::set<std::string> names;
    for (const Folder* folder : {&before, &after})
      if (*folder)
        for (FolderEntry& entry : read_folder(**folder)) names.insert(std::move(entry.name));
    for (const std::string& name : names)
      compare(before, *after, name, path.empty() ? name : path + "/" + name);
  }

  void compare(const Folder& before, const UniqueFd& after, const std::string& name,
               const std::string& path) {
    const Status old_status = before ? sys::try_stat_at(*before, name) : std::nullopt;
    Status status = sys::try_stat_at(after, name);
    if (status && S_ISSOCK(status->st_mode)) status.reset();  // a tar cannot hold it
    if (!status) {
      if (old_status) make_whiteout(path);
      return;
    }
    check(*status, path);
    note_links(old_status, *status, path);
    const bool is_new = !old_status || (old_status->st_mode & S_IFMT) != (status->st_mode & S_IFMT);
    if (!old_status && is_bare_mount_point(after, name, *status, path)) return;
    if (is_folder(status)) {
      if (is_new || !are_same_inodes({*before, name, *old_status}, {after, name, *status})) make_folder(path);
      pending_.push_back({.path = path, .was_folder = !is_new});
    } else if (is_new || !is_unchanged({*before, name, *old_status}, {after, name, *status})) {
      copied_.insert(id_of(*status));
      copy(path);
    }
  }

  void check(const struct ::stat& status, const std::string& path) const {
    if (status.st_dev != device_)
      throw Error::make(Errc::busy, "something is mounted on '/{}'", printable(path))
          .with_hint("unmount it: only what lies in the root folder itself can be captured");
    if (is_whiteout_node(status))
      throw Error::make(Errc::unsupported, "'/{}' is the device 0:0, which stands for a removal",
                        printable(path))
          .with_hint("remove it");
  }

  bool is_unchanged(const NamedInode& before, const NamedInode& after) const {
    if (!are_same_inodes(before, after)) return false;
    if (!S_ISREG(after.status.st_mode)) return true;
    const timespec& touched = after.status.st_ctim;
    const bool is_untouched = change_.untouched_before && std::pair(touched.tv_sec, touched.tv_nsec) <
                                                              std::pair(change_.untouched_before->tv_sec,
                                                                        change_.untouched_before->tv_nsec);
    return is_untouched || have_same_content(before.folder, after.folder, after.name);
  }

  /// A folder in which there is more is one of the container's.
  bool is_bare_mount_point(const UniqueFd& after, const std::string& name, const struct ::stat& status,
                           const std::string& path) const {
    if (!change_.mount_points.contains(path)) return false;
    if (!S_ISDIR(status.st_mode)) return S_ISREG(status.st_mode) && status.st_size == 0;
    const UniqueFd folder = sys::open_dir(after, name);
    for (const FolderEntry& entry : read_folder(folder)) {
      const Status inner = sys::try_stat_at(folder, entry.name);
      if (inner && !is_bare_mount_point(folder, entry.name, *inner, path + "/" + entry.name)) return false;
    }
    return true;
  }

  void note_links(const Status& before, const struct ::stat& after, const std::string& path) {
    if (before && !S_ISDIR(before->st_mode)) old_ids_[path] = id_of(*before);
    if (before && !S_ISDIR(before->st_mode) && before->st_nlink > 1) old_links_[id_of(*before)].insert(path);
    if (!S_ISDIR(after.st_mode) && after.st_nlink > 1) linked_[id_of(after)].insert(path);
    if (before && before->st_nlink > 1 && !S_ISDIR(after.st_mode) && after.st_nlink == 1)
      linked_[id_of(after)].insert(path);
  }

  /// Whether the names of one inode were not all names of one inode before, or others beside them.
  bool is_linked_otherwise(const InodeId& id) const {
    const std::set<std::string>& paths = linked_.at(id);
    const auto first = old_ids_.find(*paths.begin());
    if (first == old_ids_.end()) return true;
    const auto group = old_links_.find(first->second);
    return group == old_links_.end() ? paths.size() > 1 : group->second != paths;
  }

  /// The folders that lead to a change are in the upper, with the attributes they have.
  void make_folder(const std::string& path) {
    if (!folders_.insert(path).second) return;
    if (!path.empty()) {
      make_folder(parent_of(path));
      sys::mkdir_at(upper_, path, 0700);
    }
    const Folder source = open_folder(change_.after, path);
    const Folder target = open_folder(upper_, path);
    if (!source || !target) throw Error::make(Errc::busy, "'/{}' has changed meanwhile", printable(path));
    copy_attributes(*source, ".", sys::stat_of(*source), *target, ".");
  }

  void make_whiteout(const std::string& path) {
    make_folder(parent_of(path));
    const Folder folder = open_folder(upper_, parent_of(path));
    sys::mknod_at(folder.value(), name_of(path), S_IFCHR, 0);
  }

  /// Once for each path; further names of an inode become links.
  void copy(const std::string& path) {
    if (!done_.insert(path).second) return;
    make_folder(parent_of(path));
    const Folder source = open_folder(change_.after, parent_of(path));
    const Folder target = open_folder(upper_, parent_of(path));
    if (!source || !target) throw Error::make(Errc::busy, "'/{}' has changed meanwhile", printable(path));
    const std::string name = name_of(path);
    const struct ::stat status = sys::stat_at(*source, name);
    const auto [first, is_first] = copies_.emplace(id_of(status), path);
    if (is_first || status.st_nlink == 1)
      copy_inode(*source, name, status, *target, name);
    else
      sys::link_at(upper_, first->second, *target, name);
  }

  void set_folder_times() {
    for (const std::string& path : folders_)
      if (const Folder source = open_folder(change_.after, path))
        sys::set_mtime_at(upper_, path.empty() ? "." : path, sys::stat_of(*source).st_mtim);
  }

  const TreeChange& change_;
  const UniqueFd& upper_;
  const dev_t device_;
  std::vector<Pending> pending_;
  std::set<std::string> folders_;  ///< of the upper
  std::set<std::string> done_;     ///< paths that were copied
  std::set<InodeId> copied_;
  std::map<InodeId, std::string> copies_;            ///< by the inode in `after`: its first name in the upper
  std::map<InodeId, std::set<std::string>> linked_;  ///< names of those in `after` with several
  std::map<InodeId, std::set<std::string>> old_links_;  ///< and in `before`
  std::map<std::string, InodeId> old_ids_;
};

}  // namespace

void make_upper(const TreeChange& change, const UniqueFd& upper) {
  UpperMaker(change, upper).run();
}

}  // namespace lay::layerstore
