#include "layer_tree.h"

#include <algorithm>
#include <utility>

#include "overlay_notation.h"

namespace lay::layerstore {

const InodeExtras& LayerInode::extras() const {
  static const InodeExtras kNone;
  return rare ? *rare : kNone;
}

InodeExtras& LayerInode::edit_extras() {
  if (!rare) rare = std::make_unique<InodeExtras>();
  return *rare;
}

bool is_whiteout(const LayerInode& inode) {
  return S_ISCHR(inode.mode) && inode.extras().device == 0;
}

bool is_opaque(const LayerInode& inode) {
  const std::vector<Xattr>& xattrs = inode.extras().xattrs;
  return std::any_of(xattrs.begin(), xattrs.end(),
                     [](const Xattr& xattr) { return xattr.name == kOpaqueXattr && xattr.value == "y"; });
}

void set_xattr(LayerInode& inode, Xattr xattr) {
  std::vector<Xattr>& xattrs = inode.edit_extras().xattrs;
  const auto place = std::lower_bound(xattrs.begin(), xattrs.end(), xattr,
                                      [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
  if (place != xattrs.end() && place->name == xattr.name) {
    place->value = std::move(xattr.value);
  } else {
    xattrs.insert(place, std::move(xattr));
  }
}

void walk_tree(
    const LayerTree& tree,
    const std::function<void(InodeIndex inode, InodeIndex parent, const std::string& path)>& visit) {
  struct Level {
    InodeIndex folder;
    FolderNames::Iterator next;
    std::size_t path_size;
  };
  std::vector<bool> seen(tree.inodes.size());
  std::vector<Level> stack;  // not recursion: a hostile tar decides how deep it goes
  std::string path;
  const auto enter = [&](InodeIndex folder) {
    stack.push_back({folder, tree.inodes[folder].names->begin(), path.size()});
  };
  visit(0, 0, path);
  enter(0);
  while (!stack.empty()) {
    Level& level = stack.back();
    path.resize(level.path_size);
    if (level.next == tree.inodes[level.folder].names->end()) {
      stack.pop_back();
      continue;
    }
    const FolderName entry = *level.next;
    ++level.next;
    const InodeIndex inode = entry.inode();
    if (seen[inode]) continue;
    seen[inode] = true;
    if (!path.empty()) path += '/';
    path += entry.name();
    visit(inode, level.folder, path);
    if (tree.inodes[inode].names) enter(inode);
  }
}

std::vector<std::string> implied_folders(const LayerTree& tree) {
  std::vector<std::string> paths;
  walk_tree(tree, [&](InodeIndex inode, InodeIndex, const std::string& path) {
    if (tree.inodes[inode].extras().is_implied) paths.push_back(path);
  });
  return paths;
}

}  // namespace lay::layerstore
