#include "base/json_text.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <string>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"

using lay::Json;

TEST_CASE("strings are written as the library writes them", "[base][json]") {
  for (const std::string text :
       {"", "plain", "with \"quotes\"", "back\\slash", "tab\tand\nline", "\x7f", "grün"}) {
    std::string mine;
    lay::append_json(mine, std::string_view(text));
    CHECK(mine == Json(text).dump());
  }
  std::string mine;
  CHECK_THROWS_AS(lay::append_json(mine, std::string_view("\xff")), lay::Error);
}

TEST_CASE("an object written as text is the object", "[base][json]") {
  std::string text = "[";
  lay::JsonObjectText object(text);
  object.add("name", "a\"b");
  object.add("size", std::numeric_limits<std::uint64_t>::max());
  lay::JsonObjectText inner(object.begin("xat\"trs"));
  inner.add("user.x", lay::base64_encode("x"));
  inner.end();
  object.end();
  text += "]";
  const Json expected = Json::array({{{"name", "a\"b"},
                                      {"size", std::numeric_limits<std::uint64_t>::max()},
                                      {"xat\"trs", {{"user.x", "eA=="}}}}});
  CHECK(Json::parse(text) == expected);
}
