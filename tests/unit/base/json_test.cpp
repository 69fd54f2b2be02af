#include "base/json.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay;

namespace {

Errc code_of(const std::string& text) {
  try {
    parse_json(text, "document");
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("accepted");
  return Errc::io;
}

}  // namespace

TEST_CASE("a document that is not exactly one JSON value is refused", "[base][json]") {
  for (const char* bad :
       {"", "{", "{} {}", "{}x", "// c\n{}", "{\"a\":1,}", "\"\xff\"", "nul", "{\"a\":1e999}"}) {
    INFO(bad);
    CHECK(code_of(bad) == Errc::invalid);
  }
}

TEST_CASE("nesting is refused before it is built", "[base][json]") {
  CHECK(code_of(std::string(100'000, '[')) == Errc::invalid);
  CHECK(code_of(std::string(65, '[') + std::string(65, ']')) == Errc::invalid);
  CHECK_NOTHROW(parse_json(std::string(64, '[') + std::string(64, ']'), "document"));
  CHECK_NOTHROW(parse_json("\"" + std::string(100, '[') + "\\\"" + std::string(100, '[') + "\"", "document"));
}

TEST_CASE("a document over 4 MiB is refused", "[base][json]") {
  CHECK(code_of("\"" + std::string(kMaxJsonBytes, 'a') + "\"") == Errc::invalid);
}

TEST_CASE("members of the wrong type are named", "[base][json]") {
  const Json object =
      parse_json(R"({"s":1,"n":"1","big":18446744073709551615,"f":1.5,"l":[1],"b":0,"null":null})", "d");
  CHECK_THROWS_WITH(json_string(object, "s"), "'s' is number, expected a string");
  CHECK_THROWS_AS(json_int(object, "n"), Error);
  CHECK_THROWS_AS(json_int(object, "big"), Error);
  CHECK_THROWS_AS(json_int(object, "f"), Error);
  CHECK_THROWS_AS(json_strings(object, "l"), Error);
  CHECK_THROWS_AS(json_bool_or(object, "b", false), Error);
  CHECK_THROWS_WITH(json_string(object, "absent"), "'absent' is missing");
  CHECK(json_string_or(object, "null", "x") == "x");
  CHECK(json_strings(object, "null").empty());
}
