#include <cstdlib>
#include <string_view>

#include "auth_file.h"
#include "base/base64.h"
#include "base/error.h"
#include "challenge.h"
#include "fuzz_target.h"

/// What a registry sends as WWW-Authenticate, and what an auth file may hold.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& challenge : lay::registry::parse_challenges(text))
    if (challenge.scheme.empty() || challenge.parameters.size() > 32) std::abort();
  if (lay::base64_decode(lay::base64_encode(text)) != text) std::abort();
  lay::base64_decode(text);
  try {
    const lay::registry::AuthFile file(std::string(text), lay::registry::AuthFile::Format::config);
    file.find("host.example:5000", "team/app");
  } catch (const lay::Error&) {
  }
  return 0;
}
