#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lay::registry {

/// One challenge of a WWW-Authenticate field (RFC 9110 section 11.6.1).
struct Challenge {
  std::string scheme;                             ///< lower case: "basic", "bearer"
  std::map<std::string, std::string> parameters;  ///< names in lower case; the first of a name counts

  bool operator==(const Challenge&) const = default;
};

/// Reads one field, which may hold several challenges. What cannot be understood ends the reading: the
/// challenges before it stand. At most 16 KiB, 8 challenges and 32 parameters each are read.
std::vector<Challenge> parse_challenges(std::string_view field);

}  // namespace lay::registry
