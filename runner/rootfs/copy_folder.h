#pragma once

#include "base/unique_fd.h"

namespace lay::runner {

/// Copies what the folder `from` holds, and its own extended attributes, into the empty folder `to`: files
/// with their data (holes stay holes), folders, links, nodes, and extended attributes that `to` can hold.
/// What is mounted within is not entered. For "tmpcopyup" of a tmpfs.
void copy_folder(const UniqueFd& from, const UniqueFd& to);

}  // namespace lay::runner
