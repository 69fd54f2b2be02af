#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/stream.h"
#include "erofs/layer_tree.h"
#include "layerstore/apply.h"
#include "tar/entry_path.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Puts the entries of a layer tar together to the tree that an overlay lower has to show: the same that
/// apply_layer() unpacks, by the same rules, in memory.
class TreeBuilder {
 public:
  /// Entries go through `links` where the layer has nothing else in their place.
  explicit TreeBuilder(std::span<const LowerLink> links = {}, Spill spill = {});

  /// Adds one entry, whose data begin at `data_offset` of the tar. Throws as apply_layer() does.
  void add(const TarEntry& entry, std::uint64_t data_offset);
  /// How many folders were made that the tar only implies.
  std::uint64_t implied_count() const { return implied_count_; }
  /// See StackedFolders.
  const std::set<std::string>& entered() const { return entered_; }
  /// The whole tree; called once, last.
  LayerTree finish();

 private:
  enum class Missing { make, fail };
  class Place;

  void add_named(const TarEntry& entry, const EntryPath& path, std::uint64_t data_offset);
  void add_removal(const TarEntry& entry, const EntryPath& path, Removal removal);
  void add_whiteout(InodeIndex folder, const std::string& name);
  void add_folder(const TarEntry& entry, const EntryPath& path);
  void add_hard_link(const TarEntry& entry, const EntryPath& path);

  void require_few_bytes() const;
  void add_lower_link(const LowerLink& link);
  void drop_lower_links();

  InodeIndex folder_at(const std::string& path);
  std::string place_of(const EntryPath& path) const;
  std::optional<InodeIndex> resolve(const std::string& path, Missing missing);
  InodeIndex make_implied(InodeIndex parent, const std::string& name, std::size_t path_size);
  std::optional<InodeIndex> find(InodeIndex folder, const std::string& name) const;
  InodeIndex insert(InodeIndex folder, const std::string& name, const LayerInode& inode);
  void link(InodeIndex folder, const std::string& name, InodeIndex inode);
  void unlink(InodeIndex folder, const std::string& name);
  void replace(InodeIndex folder, const EntryPath& path);
  void note_replaced(InodeIndex folder, std::string place);
  void make_opaque(InodeIndex folder);
  void drop_needless_whiteouts();
  InodeExtras& edit_extras(LayerInode& inode) const { return inode.edit_extras(*tree_.memory); }
  LayerInode& at(InodeIndex index) { return tree_.inodes[index]; }
  const LayerInode& at(InodeIndex index) const { return tree_.inodes[index]; }

  struct LinkPlace {
    InodeIndex folder;
    std::string name;
  };

  LayerTree tree_;
  std::vector<LinkPlace> lower_links_;
  std::string current_path_;  ///< the folder most entries lie in: that of the one before
  std::optional<InodeIndex> current_;
  std::string current_place_;  ///< the same without symlinks
  std::set<std::string> entered_;
  std::size_t held_ = 0;     ///< bytes of names, links, attributes, maps and implied folders
  std::uint64_t steps_ = 0;  ///< behind symlinks
  std::uint64_t implied_count_ = 0;
  std::uint64_t implied_bytes_ = 0;  ///< of their paths
  bool has_opaque_ = false;
};

struct IndexedLayer {
  LayerTree tree;
  ApplyStats stats;
};

/// Reads a whole layer tar, to its very end, into a tree, which is as apply_layer() unpacks it.
IndexedLayer index_layer(ByteSource& tar, const ApplyOptions& options = {});

}  // namespace lay::layerstore
