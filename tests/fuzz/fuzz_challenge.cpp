#include <cstdlib>
#include <string_view>

#include "auth/challenge.h"
#include "fuzz_target.h"

/// What a registry sends as WWW-Authenticate.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& challenge : lay::registry::parse_challenges(text))
    if (challenge.scheme.empty() || challenge.parameters.size() > 32) std::abort();
  return 0;
}
