#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill_memory.h"
#include "base/unique_fd.h"
#include "diff/inode.h"
#include "layerstore/diff.h"
#include "overlay/overlay_notation.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Nothing that unpacks by paths can reach longer ones (PATH_MAX with its NUL).
constexpr std::size_t kMaxPath = 4095;

/// How what is walked is to be read.
enum class Reading {
  plain,
  upper,
  view,  ///< what the merged view shows: whole, and without removals
};

/// What a layer takes of an inode besides its data, and what overlay notes of it.
struct Inode {
  struct ::stat status {};
  std::vector<Xattr> xattrs;  ///< by name, overlay's own left out
  OverlayMarks marks;
};

/// Reads the inodes of one folder.
class InodeReader {
 public:
  /// `root` is the folder, and must outlive it as `spill` must, where names of very large folders lie.
  InodeReader(const UniqueFd& root, TreeKind kind, const Spill& spill)
      : root_(root), kind_(kind), spill_(spill) {}

  /// Throws unsupported for a mark in the "user." notation that no kernel follows.
  Inode read(const UniqueFd& fd, FdKind kind, Reading reading);
  /// OverlayMarks::links of a file of the upper, which the merged view does not show.
  std::string read_links(const UniqueFd& fd, FdKind kind);

 private:
  void read_xattr(const UniqueFd& fd, FdKind kind, const std::string& name, Reading reading, Inode& inode);
  bool heeds(std::string_view name);

  const UniqueFd& root_;
  const TreeKind kind_;
  const Spill& spill_;
  std::optional<bool> heeds_user_;  ///< once there was something to decide
};

}  // namespace lay::layerstore
