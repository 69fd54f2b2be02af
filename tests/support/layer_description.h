#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "erofs/layer_tree.h"
#include "overlay/overlay_notation.h"
#include "tree_description.h"

namespace lay::test {

/// What a LayerTree says, in the words of TreeDescriber::describe() with Contents::no.
inline TreeDescription describe_layer_tree(const layerstore::LayerTree& tree) {
  TreeDescription result;
  std::map<layerstore::InodeIndex, std::string> first_names;
  const auto describe = [&](layerstore::InodeIndex index, const std::string& path) {
    const layerstore::LayerInode& inode = tree.inodes[index];
    if (layerstore::is_whiteout(inode)) return std::string("whiteout");
    std::string text =
        fmt::format("mode {:o} owner {}:{} mtime {}", inode.mode, inode.uid, inode.gid, inode.mtime.tv_sec);
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode))
      text += fmt::format(" device {}:{}", gnu_dev_major(inode.extras().device),
                          gnu_dev_minor(inode.extras().device));
    if (S_ISLNK(inode.mode)) text += " -> " + printable(inode.extras().link);
    if (S_ISREG(inode.mode)) text += fmt::format(" size {}", inode.size);
    for (const layerstore::KeptXattr& xattr : inode.extras().xattrs)
      if (layerstore::shown_xattr_name(xattr.name))
        text += fmt::format(" {}={}", xattr.name, printable(xattr.value));
    if (layerstore::is_opaque(inode)) text += " opaque";
    if (inode.names == nullptr && inode.links > 1)
      text += " first name " + printable(first_names.try_emplace(index, path).first->second);
    return text;
  };
  const std::function<void(layerstore::InodeIndex, const std::string&)> walk =
      [&](layerstore::InodeIndex folder, const std::string& path) {
        for (const layerstore::FolderName& name : *tree.inodes[folder].names) {
          const layerstore::InodeIndex index = name.inode();
          const std::string inner = fmt::format("{}/{}", path, name.name());
          result[printable(inner)] = describe(index, inner);
          if (tree.inodes[index].names != nullptr) walk(index, inner);
        }
      };
  result["."] = describe(0, ".");
  walk(0, ".");
  return result;
}

/// The regions of each sparse file.
inline std::map<std::string, std::vector<layerstore::DataRegion>> regions_of(
    const layerstore::LayerTree& tree) {
  std::map<std::string, std::vector<layerstore::DataRegion>> result;
  layerstore::walk_tree(tree,
                        [&](layerstore::InodeIndex inode, layerstore::InodeIndex, const std::string& path) {
                          if (const auto& regions = tree.inodes[inode].extras().regions)
                            result[path].assign(regions->begin(), regions->end());
                        });
  return result;
}

}  // namespace lay::test
