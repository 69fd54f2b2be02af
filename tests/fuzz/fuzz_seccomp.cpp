#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "fuzz_target.h"
#include "runner/seccomp_profile.h"
#include "security/landlock.h"
#include "security/seccomp_compile.h"
#include "spec/seccomp_json.h"

/// Profiles of system calls, and with the same bytes rules of landlock: what is taken is the same after a
/// round trip through config.json, and compiles or is refused.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lay::runner;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    parse_landlock(text);
  } catch (const lay::Error&) {
  }
  try {
    const Seccomp seccomp = parse_seccomp_profile(lay::parse_json(text, "the input"),
                                                  {.capabilities = {"CAP_SYS_ADMIN"}, .kernel = "6.18"});
    const lay::Json json = seccomp_to_json(seccomp);
    if (seccomp_to_json(parse_seccomp(json)) != json) std::abort();
    if (compile_seccomp(seccomp).program.empty()) std::abort();
  } catch (const lay::Error&) {
  }
  return 0;
}
