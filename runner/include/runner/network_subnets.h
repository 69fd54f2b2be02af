#pragma once

#include <string>

namespace lay::runner {

/// A unique local IPv6 subnet (RFC 4193), chosen at random as it should be: "fd12:3456:789a::/64".
std::string random_subnet6();

}  // namespace lay::runner
