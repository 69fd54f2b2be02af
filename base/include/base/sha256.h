#pragma once

#include <string>
#include <string_view>

namespace lay {

/// The SHA-256 of `text` in 64 lower-case hexadecimal digits: a name for what was made from it.
std::string sha256_hex(std::string_view text);

}  // namespace lay
