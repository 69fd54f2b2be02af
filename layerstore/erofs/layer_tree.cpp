#include "erofs/layer_tree.h"

#include <algorithm>
#include <set>
#include <utility>

#include "overlay/overlay_notation.h"

namespace lay::layerstore {

const InodeExtras& LayerInode::extras() const {
  static const InodeExtras kNone(std::pmr::get_default_resource());
  return rare ? *rare : kNone;
}

InodeExtras& LayerInode::edit_extras(SpillMemory& memory) {
  if (rare == nullptr) rare = memory.make<InodeExtras>(&memory);
  return *rare;
}

bool is_whiteout(const LayerInode& inode) {
  return S_ISCHR(inode.mode) && inode.extras().device == 0;
}

bool is_opaque(const LayerInode& inode) {
  const auto& xattrs = inode.extras().xattrs;
  return std::any_of(xattrs.begin(), xattrs.end(),
                     [](const KeptXattr& xattr) { return xattr.name == kOpaqueXattr && xattr.value == "y"; });
}

void set_xattr(LayerInode& inode, SpillMemory& memory, const KeptXattr& xattr) {
  auto& xattrs = inode.edit_extras(memory).xattrs;
  const auto place = std::lower_bound(xattrs.begin(), xattrs.end(), xattr,
                                      [](const KeptXattr& a, const KeptXattr& b) { return a.name < b.name; });
  const std::string_view value = memory.keep(xattr.value);
  if (place != xattrs.end() && place->name == xattr.name) {
    place->value = value;
  } else {
    xattrs.insert(place, {memory.keep(xattr.name), value});
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
    tree.memory->count_use();
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
    if (tree.inodes[inode].names != nullptr) enter(inode);
  }
}

StackedFolders stacked_folders(const LayerTree& tree) {
  StackedFolders folders;
  std::set<std::string> with_whiteouts;
  walk_tree(tree, [&](InodeIndex inode, InodeIndex parent, const std::string& path) {
    if (tree.inodes[inode].extras().is_implied) folders.implied.push_back(path);
    if (is_whiteout(tree.inodes[inode]) && parent != 0)
      with_whiteouts.insert(path.substr(0, path.rfind('/')));
  });
  folders.with_whiteouts.assign(with_whiteouts.begin(), with_whiteouts.end());
  return folders;
}

}  // namespace lay::layerstore
