#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lay::runner {

/// A stream connected to the socket at `path`, of any length: unix(7). Throws what keeps it from being
/// reached.
UniqueFd connect_unix_socket(const std::string& path);

}  // namespace lay::runner
