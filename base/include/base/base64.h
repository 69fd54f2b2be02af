#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lay {

/// RFC 4648 section 4, with padding.
std::string base64_encode(std::string_view bytes);
/// The same, at the end of `to`.
void base64_append(std::string& to, std::string_view bytes);
/// Empty on anything but the standard alphabet with correct padding (which may be left out at the end).
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace lay
