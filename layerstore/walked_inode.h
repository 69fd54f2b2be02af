#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "inode.h"
#include "layerstore/diff.h"
#include "overlay_notation.h"
#include "tar_entry.h"

namespace lay::layerstore {

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
  /// `root` is the folder, and must outlive it.
  InodeReader(const UniqueFd& root, TreeKind kind) : root_(root), kind_(kind) {}

  /// Throws unsupported for a mark in the "user." notation that no kernel follows.
  Inode read(const UniqueFd& fd, FdKind kind, Reading reading);

 private:
  void read_xattr(const UniqueFd& fd, FdKind kind, const std::string& name, Reading reading, Inode& inode);
  bool heeds(std::string_view name);

  const UniqueFd& root_;
  const TreeKind kind_;
  std::optional<bool> heeds_user_;  ///< once there was something to decide
};

}  // namespace lay::layerstore
