#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

/// Folders that a layer's tar only implies have no attributes of their own, but overlay shows those of the
/// topmost layer that has the folder. One more lower on top that holds such folders with the attributes of
/// the layer below sets that right.
namespace lay::layerstore {

/// A folder and where its attributes come from.
struct ParentFolder {
  std::string path;    ///< "" for the root
  std::string source;  ///< lower that has it, absolute; empty: of no layer, so 0755 of root at time 0

  bool operator==(const ParentFolder&) const = default;
};

/// Which folders need it, parents first.
///   lowers    absolute paths, topmost first, in overlay's notation
///   implied   for each of them, the folders that its tar only implies
std::vector<ParentFolder> plan_parents(const std::vector<std::string>& lowers,
                                       const std::vector<std::vector<std::string>>& implied);

/// Makes `dir`/`name` with those folders in it; there already is success.
void make_parents(const UniqueFd& dir, const std::string& name, const std::vector<ParentFolder>& folders);

}  // namespace lay::layerstore
