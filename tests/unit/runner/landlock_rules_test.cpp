#include <catch2/catch.hpp>

#include "error_of.h"
#include "security/landlock.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

TEST_CASE("landlock rules: a word without '=' belongs to the key before it", "[runner][landlock]") {
  using Access = LandlockRules::Access;
  const LandlockRules rules =
      parse_landlock("ro=/usr,/lib,rw=/var/lib/x,bind=80,443,connect=none,scope=abstract,signal");
  CHECK(rules ==
        LandlockRules{
            .paths = {{{"/usr", Access::read}, {"/lib", Access::read}, {"/var/lib/x", Access::write}}},
            .bind = {{80, 443}},
            .connect = std::vector<std::uint16_t>{},
            .scopes_abstract = true,
            .scopes_signals = true});
  CHECK(parse_landlock("scope=signal") == LandlockRules{.scopes_signals = true});
}

TEST_CASE("landlock rules that are not understood are refused with an example", "[runner][landlock]") {
  for (const char* text : {"", "ro", "ro=usr", "ro=", "/usr", "bind=0", "bind=65536", "bind=x", "scope=all",
                           "rx=/usr", "ro=/usr,", "=", "bind=80,/usr"}) {
    INFO(text);
    const Error error = error_of([&] { parse_landlock(text); });
    CHECK(error.code() == Errc::invalid);
    CHECK_THAT(error.hint(), Catch::Contains("--landlock ro="));
  }
}

TEST_CASE("U06: landlock rules that a kernel cannot keep are an error", "[runner][landlock]") {
  const auto least_for = [](const char* text) {
    for (int abi = 0; abi < 10; ++abi) {
      try {
        require_landlock(parse_landlock(text), abi);
        return abi;
      } catch (const Error& error) {
        if (error.code() != Errc::unsupported) throw;
      }
    }
    return -1;
  };
  CHECK(least_for("ro=/") == 3);
  CHECK(least_for("bind=80") == 4);
  CHECK(least_for("connect=none") == 4);
  CHECK(least_for("scope=signal") == 6);
  CHECK_THAT(error_of([] { require_landlock(parse_landlock("ro=/"), 0); }).message(),
             Catch::Contains("has none"));
}
