#pragma once

#include <string>

namespace lay::layerstore {

/// A symlink of the layers below that entries of a layer go through: above `lib -> usr/lib` the entry
/// `lib/x`, without one for `lib`, is usr/lib/x.
struct LowerLink {
  std::string path;  ///< its own, through no other symlink
  std::string target;

  bool operator==(const LowerLink&) const = default;
};

}  // namespace lay::layerstore
