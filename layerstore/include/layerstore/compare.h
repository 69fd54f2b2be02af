#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "layerstore/store.h"

namespace lay::layerstore {

enum class ChangeKind { added, changed, removed };

/// One difference between two root file systems.
struct Change {
  ChangeKind kind = ChangeKind::changed;
  std::string path;            ///< "/etc/x"
  std::uint64_t size = 0;      ///< bytes of the file's data now; 0 for all but regular files
  std::uint64_t old_size = 0;  ///< and before; of a removed folder all that it held

  bool operator==(const Change&) const = default;
};

/// Compares two root file systems: type, mode, owner, time in whole seconds, attributes, content.
///   before    merged view
///   after     merged view
///   touched   folders in overlay's notation that lie in one of the two stacks only, opened for reading:
///             nothing else can differ, so that the work grows with them and not with the trees
///   store     where what exceeds some memory lies until the end
///   visit     called for each difference once all are known, in byte order of the paths; the folders that
///             lead to one are changed too; of what a removed folder held, nothing is listed
void compare_trees(const UniqueFd& before, const UniqueFd& after, std::span<const UniqueFd> touched,
                   const Store& store, const std::function<void(const Change& change)>& visit);

}  // namespace lay::layerstore
