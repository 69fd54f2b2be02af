#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace lay {

/// The names in a folder without "." and "..", sorted (readdir(3)). `folder` may be an O_PATH descriptor and
/// is left as it is.
std::vector<std::string> list_names(const UniqueFd& folder);

}  // namespace lay
