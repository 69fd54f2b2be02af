#pragma once

#include <ctime>
#include <optional>
#include <set>
#include <string>

#include "base/unique_fd.h"

namespace lay::layerstore {

/// Two root file systems, of which one was made from the other.
struct TreeChange {
  const UniqueFd& before;  ///< merged view
  const UniqueFd& after;   ///< a plain tree
  /// What is alike and has not been touched from then on (ctime, by the clock of its file system) is taken
  /// for the same without reading it; empty: everything is read.
  std::optional<timespec> untouched_before;
  /// Paths in `after` that are left out while they are new and empty: "run/mnt".
  std::set<std::string> mount_points;
};

/// Makes in `upper`, an empty folder, the overlay upper that shows `after` over `before`: what differs in
/// type, mode, owner, time (whole seconds), attributes, content, or in what it is linked with; whiteouts for
/// what is gone. Sockets are left out. `after` may be hostile: nothing outside of it is reached. Throws
/// unsupported for what an upper cannot say (a device 0:0), busy when something is mounted in `after`.
void make_upper(const TreeChange& change, const UniqueFd& upper);

}  // namespace lay::layerstore
