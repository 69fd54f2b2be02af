#pragma once

#include <string>

namespace lay::registry {

/// What a login is kept for, of the words that people use for it: a host, or one of its repositories. As
/// docker has it, of a URL the host counts, and neither a '/' at the end nor the API's path says anything.
/// Throws invalid when nothing is left, and for a user or password in front of the host, which it does not
/// quote.
std::string parse_login_host(const std::string& text);

}  // namespace lay::registry
