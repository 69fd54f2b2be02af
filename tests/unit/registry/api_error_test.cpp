#include "client/api_error.h"

#include <catch2/catch.hpp>

using namespace lay::registry;

namespace {

std::string told(const std::string& body) {
  return api_error({.status = 500, .body = body}, "what").message();
}

}  // namespace

TEST_CASE("of an error document the messages are told, of none a few words", "[registry][error]") {
  CHECK(told(R"({"errors":[{"code":"DENIED","message":"no entry","detail":{"a":1}}]})") == "what: no entry");
  CHECK(told(R"({"errors":[{"code":"NAME_UNKNOWN"},{"code":"X","message":"y"}]})") ==
        "what: name unknown; y");
  CHECK(told(R"({"message":"not today"})") == "what: not today");
  CHECK(told(R"({"details":"incorrect username or password"})") == "what: incorrect username or password");
  CHECK(told(R"({"errors":{"strange":true}})") == "what: status 500 with an answer of no known form");
  CHECK(told(R"({"errors":[{"code":"cut o)") == "what: status 500 with an answer of no known form");
  CHECK(told("no") == "what: status 500 'no'");
  CHECK(told("") == "what: status 500 with no explanation");
}
