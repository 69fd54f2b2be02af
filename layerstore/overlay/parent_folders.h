#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "layerstore/apply.h"
#include "overlay/lower_stack.h"

/// Folders that a layer's tar only implies have no attributes of their own, but overlay shows those of the
/// topmost layer that has the folder. One more lower on top that holds such folders with the attributes of
/// the layer below sets that right. It does so, too, for folders with whiteouts that no other layer has: the
/// kernel hides whiteouts where it merges folders, and lists their names elsewhere.
namespace lay::layerstore {

/// A folder and where its attributes come from.
struct ParentFolder {
  std::string path;    ///< "" for the root
  std::string source;  ///< lower that has it, absolute; empty: of no layer, so 0755 of root at time 0

  bool operator==(const ParentFolder&) const = default;
};

/// Which folders need it, parents first.
///   lowers    topmost first
///   folders   of each of them
std::vector<ParentFolder> plan_parents(std::span<LowerFolder> lowers,
                                       std::span<const StackedFolders> folders);

/// Makes `dir`/`name` with those folders in it; there already is success.
void make_parents(const UniqueFd& dir, const std::string& name, const std::vector<ParentFolder>& folders);

}  // namespace lay::layerstore
