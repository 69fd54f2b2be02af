#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lay::cli {

/// Opens what the user names to be taken in; the error of a path that leads nowhere has a hint.
UniqueFd open_source(const std::string& path, int flags);

}  // namespace lay::cli
