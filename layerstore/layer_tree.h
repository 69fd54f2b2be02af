#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "folder_names.h"
#include "tar_entry.h"

namespace lay::layerstore {

/// What few inodes have; of millions of files, what each takes is what counts.
struct InodeExtras {
  /// Of a sparse file, ascending and apart; their bytes lie back to back from data_offset on.
  std::optional<std::vector<DataRegion>> regions;
  dev_t device = 0;
  std::string link;           ///< target of a symlink
  std::vector<Xattr> xattrs;  ///< by name
  bool is_implied = false;    ///< a folder without an entry of its own
};

/// One inode of a layer in overlay's notation: a whiteout is a char 0:0 node, an opaque folder has the
/// attribute "trusted.overlay.opaque".
struct LayerInode {
  mode_t mode = 0;  ///< type and permissions, as st_mode
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint32_t links = 0;  ///< names that lead here; 0: removed by a later entry
  timespec mtime{};
  std::uint64_t size = 0;              ///< of a regular file, bytes
  std::uint64_t data_offset = 0;       ///< where its data begin in the tar; a multiple of 512
  std::unique_ptr<FolderNames> names;  ///< of a folder, empty for all others
  std::unique_ptr<InodeExtras> rare;   ///< empty when nothing of it is set

  const InodeExtras& extras() const;
  /// Makes them when there are none yet.
  InodeExtras& edit_extras();
};

/// What a layer's tar describes, without the files' data.
struct LayerTree {
  /// The first is the root; those without links are not part of the tree. Never moved when there are more.
  std::deque<LayerInode> inodes;
  NamePool names;  ///< the bytes of all names
};

bool is_whiteout(const LayerInode& inode);
bool is_opaque(const LayerInode& inode);
/// Sets or replaces one attribute.
void set_xattr(LayerInode& inode, Xattr xattr);

/// Calls `visit` for each inode of the tree once, folders before what they hold, in byte order of the names;
/// `path` is "" for the root, and the first name of an inode with several. `parent` is a folder's parent
/// (the root's own is the root).
void walk_tree(
    const LayerTree& tree,
    const std::function<void(InodeIndex inode, InodeIndex parent, const std::string& path)>& visit);

/// Paths of the folders that have no entry of their own, in the order of the walk; "" is the root.
std::vector<std::string> implied_folders(const LayerTree& tree);

}  // namespace lay::layerstore
