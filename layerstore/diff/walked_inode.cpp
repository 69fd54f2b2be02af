#include "diff/walked_inode.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/limits.h>

#include <algorithm>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/spill_scratch.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "diff/sorted_names.h"
#include "tar/entry_check.h"

namespace lay::layerstore {

namespace {

void keep_xattr(const UniqueFd& fd, FdKind kind, const std::string& name, const std::string& written,
                Inode& inode) {
  auto value = xattr_value(fd, kind, name);
  if (!value) return;
  if (written.size() > XATTR_NAME_MAX)
    throw Error::make(Errc::unsupported, "the name of its attribute '{}' is too long to be kept in a layer",
                      printable(name))
        .with_hint("remove the attribute");
  inode.xattrs.push_back({written, std::move(*value)});
}

void refuse_unfollowed(const Inode& inode) {
  if (inode.marks.unfollowed.empty()) return;
  throw Error::make(Errc::unsupported,
                    "user.overlay.{} says that a part of it is elsewhere, and no kernel follows that",
                    inode.marks.unfollowed)
      .with_hint("copy the file or folder within the merged view");
}

template <class Visit>
void for_each_xattr_name(const UniqueFd& fd, FdKind kind, Visit&& visit) {
  const std::string names = xattr_names(fd, kind);
  for (std::size_t begin = 0; begin < names.size();) {
    const std::string name = names.c_str() + begin;
    begin += name.size() + 1;
    visit(name);
  }
}

bool has_trusted_mark(const UniqueFd& fd, FdKind kind) {
  bool found = false;
  for_each_xattr_name(fd, kind, [&](const std::string& name) { found |= is_trusted_overlay_xattr(name); });
  return found;
}

/// Looks for a mark that overlay, or the host's root, wrote somewhere in the folder: containers cannot.
class TrustedMarkSearch {
 public:
  TrustedMarkSearch(const UniqueFd& root, const Spill& spill) : root_(root), names_(spill) {}

  bool run() {
    bool found = enter("");
    while (!found && !stack_.empty()) {
      throw_if_cancelled();
      Folder& folder = stack_.back();
      if (const auto child = folder.children.next()) {
        found = enter(folder.path + child->name + "/");
      } else {
        names_.rewind(folder.before);
        stack_.pop_back();
      }
    }
    return found;
  }

 private:
  struct Folder {
    std::string path;  ///< "" for the root, otherwise ending in "/"
    SpillScratch::Mark before;
    SortedNames children;  ///< the folders among them
  };

  /// Whether the folder, or what is right in it, has a mark. One whose path is too long for a layer is left
  /// to the walk, which refuses it.
  bool enter(const std::string& path) {
    if (path.size() > kMaxPath + 1) return false;
    const UniqueFd fd = sys::open_beneath(root_, path.empty() ? "." : path.substr(0, path.size() - 1),
                                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    bool found = has_trusted_mark(fd, FdKind::readable);
    Folder folder{.path = path, .before = names_.mark(), .children = SortedNames(names_)};
    each_entry(fd, [&](const FolderEntry& entry) {
      if (found) return;
      const auto inode = try_open_same_mount(fd, entry.name, O_PATH);
      if (!inode) return;
      found = has_trusted_mark(*inode, FdKind::path_only);
      if (entry.type == DT_DIR || (entry.type == DT_UNKNOWN && S_ISDIR(sys::stat_of(*inode).st_mode)))
        folder.children.add(entry.name, entry.type);
    });
    stack_.push_back(std::move(folder));
    return found;
  }

  const UniqueFd& root_;
  SpillScratch names_;  ///< of the folders on the stack
  std::vector<Folder> stack_;
};

}  // namespace

Inode InodeReader::read(const UniqueFd& fd, FdKind kind, Reading reading) {
  Inode inode{.status = sys::stat_of(fd)};
  for_each_xattr_name(fd, kind, [&](const std::string& name) { read_xattr(fd, kind, name, reading, inode); });
  std::sort(inode.xattrs.begin(), inode.xattrs.end(),
            [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
  refuse_unfollowed(inode);
  return inode;
}

std::string InodeReader::read_links(const UniqueFd& fd, FdKind kind) {
  for (const char* name : {"trusted.overlay.nlink", "user.overlay.nlink"})
    if (auto links = xattr_value(fd, kind, name); links && heeds(name)) return *links;
  return {};
}

void InodeReader::read_xattr(const UniqueFd& fd, FdKind kind, const std::string& name, Reading reading,
                             Inode& inode) {
  if (!is_kept_xattr(name)) return;
  const auto own = overlay_xattr(name);
  if (!own) return keep_xattr(fd, kind, name, name, inode);
  if (reading != Reading::upper) {
    if (is_user_mark(name)) return;
    return keep_xattr(fd, kind, name, kind_ == TreeKind::live ? name : stored_xattr_name(name), inode);
  }
  if (!is_overlay_mark(name)) return keep_xattr(fd, kind, name, name, inode);
  if (!heeds(name)) return;
  if (*own == "whiteout") inode.marks.whiteout = true;
  if (*own == "nlink") inode.marks.links = xattr_value(fd, kind, name).value_or("");
  // What counts of the two depends on the type: a file whose data were copied later keeps its redirect.
  const bool points_down = S_ISDIR(inode.status.st_mode)   ? *own == "redirect"
                           : S_ISREG(inode.status.st_mode) ? *own == "metacopy"
                                                           : false;
  if (points_down && !is_trusted_overlay_xattr(name)) inode.marks.unfollowed = *own;
  if (points_down) (*own == "redirect" ? inode.marks.redirect : inode.marks.metacopy) = true;
  if (*own != "opaque") return;
  const auto value = xattr_value(fd, kind, name);
  if (value == "y") inode.marks.opaque = OpaqueMark::opaque;
  if (value == "x") inode.marks.opaque = OpaqueMark::xattr_whiteouts;
}

/// "user." attributes are overlay's own only where it was mounted with the option userxattr: elsewhere anyone
/// may have written them. Such a mount writes none of the others.
bool InodeReader::heeds(std::string_view name) {
  if (is_trusted_overlay_xattr(name)) return true;
  if (!heeds_user_) heeds_user_ = kind_ == TreeKind::upper && !TrustedMarkSearch(root_, spill_).run();
  return *heeds_user_;
}

}  // namespace lay::layerstore
