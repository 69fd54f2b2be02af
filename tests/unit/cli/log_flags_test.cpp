#include "flags/log_flags.h"

#include <catch2/catch.hpp>

#include "base/error.h"

namespace {

using lay::cli::LogFlags;

TEST_CASE("the log takes what max-size and max-file make together", "[cli][log]") {
  CHECK(LogFlags{}.parse() == lay::runner::LogConfig{});
  CHECK(LogFlags{.driver = "json-file", .options = {"max-size=10m", "max-file=3"}}.parse().max_bytes ==
        30 * 1024 * 1024);
  CHECK(LogFlags{.driver = {}, .options = {"max-size=1"}}.parse().max_bytes == 4096);
  CHECK_FALSE(LogFlags{.driver = "none", .options = {}}.parse().is_kept);
}

TEST_CASE("log flags that lay cannot do are refused", "[cli][log]") {
  for (const char* option :
       {"max-size=0", "max-size=x", "max-file=0", "max-file=1001", "max-size=99999999999g", "tag=x"})
    CHECK_THROWS_AS((LogFlags{.driver = {}, .options = {option}}.parse()), lay::Error);
  CHECK_THROWS_AS((LogFlags{.driver = "syslog", .options = {}}.parse()), lay::Error);
}

}  // namespace
