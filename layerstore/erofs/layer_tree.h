#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill_memory.h"
#include "erofs/folder_names.h"
#include "layerstore/apply.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// An Xattr whose bytes are somebody else's.
struct KeptXattr {
  std::string_view name;
  std::string_view value;
};

/// What few inodes have; of millions of files, what each takes is what counts.
struct InodeExtras {
  explicit InodeExtras(std::pmr::memory_resource* memory) : xattrs(memory) {}

  /// Of a sparse file, ascending and apart; their bytes lie back to back from data_offset on.
  std::optional<std::span<const DataRegion>> regions;
  dev_t device = 0;
  std::string_view link;               ///< target of a symlink
  std::pmr::vector<KeptXattr> xattrs;  ///< by name
  bool is_implied = false;             ///< a folder without an entry of its own
  bool is_of_lower = false;            ///< a symlink that is not this layer's
};

/// One inode of a layer in overlay's notation: a whiteout is a char 0:0 node, an opaque folder has the
/// attribute "trusted.overlay.opaque".
struct LayerInode {
  mode_t mode = 0;  ///< type and permissions, as st_mode
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint32_t links = 0;  ///< names that lead here; 0: removed by a later entry
  timespec mtime{};
  std::uint64_t size = 0;         ///< of a regular file, bytes
  std::uint64_t data_offset = 0;  ///< where its data begin in the tar; a multiple of 512
  FolderNames* names = nullptr;   ///< of a folder; null for all others
  InodeExtras* rare = nullptr;    ///< null when nothing of it is set

  const InodeExtras& extras() const;
  /// Makes them when there are none yet.
  InodeExtras& edit_extras(SpillMemory& memory);
};

/// What a layer's tar describes, without the files' data.
struct LayerTree {
  explicit LayerTree(Spill spill = {})
      : memory(std::make_unique<SpillMemory>(std::move(spill))), inodes(*memory) {}

  std::unique_ptr<SpillMemory> memory;  ///< has all that the inodes lead to
  /// The first is the root; those without links are not part of the tree.
  SpillArray<LayerInode> inodes;
};

bool is_whiteout(const LayerInode& inode);
bool is_opaque(const LayerInode& inode);
/// Sets or replaces one attribute, which is kept in `memory`.
void set_xattr(LayerInode& inode, SpillMemory& memory, const KeptXattr& xattr);

/// Calls `visit` for each inode of the tree once, folders before what they hold, in byte order of the names;
/// `path` is "" for the root, and the first name of an inode with several. `parent` is a folder's parent
/// (the root's own is the root).
void walk_tree(
    const LayerTree& tree,
    const std::function<void(InodeIndex inode, InodeIndex parent, const std::string& path)>& visit);

/// See StackedFolders.
StackedFolders stacked_folders(const LayerTree& tree);

}  // namespace lay::layerstore
