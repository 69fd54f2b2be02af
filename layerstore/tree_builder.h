#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stream.h"
#include "entry_path.h"
#include "layer_tree.h"
#include "layerstore/apply.h"
#include "tar_entry.h"

namespace lay::layerstore {

/// Puts the entries of a layer tar together to the tree that an overlay lower has to show: the same that
/// apply_layer() unpacks, by the same rules, in memory.
class TreeBuilder {
 public:
  TreeBuilder();

  /// Adds one entry, whose data begin at `data_offset` of the tar. Throws as apply_layer() does.
  void add(const TarEntry& entry, std::uint64_t data_offset);
  /// The whole tree; called once, last.
  LayerTree finish();

 private:
  enum class Missing { make, fail };
  /// A folder on the way from the root, and how long its path is.
  struct Step {
    InodeIndex folder;
    std::size_t path_size;
  };

  void add_named(const TarEntry& entry, const EntryPath& path, std::uint64_t data_offset);
  void add_removal(const TarEntry& entry, const EntryPath& path, Removal removal);
  void add_whiteout(InodeIndex folder, const std::string& name);
  void add_folder(const TarEntry& entry, const EntryPath& path);
  void add_hard_link(const TarEntry& entry, const EntryPath& path);

  InodeIndex folder_at(const std::string& path);
  std::optional<InodeIndex> resolve(const std::string& path, Missing missing);
  InodeIndex make_implied(InodeIndex parent, const std::string& name);
  std::optional<InodeIndex> find(InodeIndex folder, const std::string& name) const;
  InodeIndex insert(InodeIndex folder, const std::string& name, LayerInode inode);
  void link(InodeIndex folder, const std::string& name, InodeIndex inode);
  void unlink(InodeIndex folder, const std::string& name);
  void make_opaque(InodeIndex folder);
  void drop_needless_whiteouts();
  LayerInode& at(InodeIndex index) { return tree_.inodes[index]; }
  const LayerInode& at(InodeIndex index) const { return tree_.inodes[index]; }

  LayerTree tree_;
  std::string current_path_;  ///< the folder most entries lie in: that of the one before
  std::optional<InodeIndex> current_;
  std::size_t held_ = 0;  ///< bytes of names, links, attributes and maps
  bool has_opaque_ = false;
};

struct IndexedLayer {
  LayerTree tree;
  ApplyStats stats;
};

/// Reads a whole layer tar, to its very end, into a tree.
IndexedLayer index_layer(ByteSource& tar);

}  // namespace lay::layerstore
