#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lay::registry {

/// The target of the first link in a Link field (RFC 8288) that has the relation `relation`. What cannot be
/// read ends the search.
std::optional<std::string> find_link(std::string_view field, std::string_view relation);

}  // namespace lay::registry
