#include "auth/challenge.h"

#include <catch2/catch.hpp>

using lay::registry::Challenge;
using lay::registry::parse_challenges;
using List = std::vector<Challenge>;

TEST_CASE("a bearer challenge is read with its quoted parameters", "[registry][challenge]") {
  CHECK(parse_challenges(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io")") ==
        List{{"bearer", {{"realm", "https://auth.docker.io/token"}, {"service", "registry.docker.io"}}}});
  CHECK(parse_challenges(R"(bearer  Realm = "r" , scope="repository:a/b:pull,push")") ==
        List{{"bearer", {{"realm", "r"}, {"scope", "repository:a/b:pull,push"}}}});
}

TEST_CASE("tokens, escapes, and schemes without parameters are read", "[registry][challenge]") {
  CHECK(parse_challenges(R"(Basic realm=simple)") == List{{"basic", {{"realm", "simple"}}}});
  CHECK(parse_challenges(R"(Basic realm="a \"b\" c, d")") == List{{"basic", {{"realm", R"(a "b" c, d)"}}}});
  CHECK(parse_challenges("Negotiate") == List{{"negotiate", {}}});
}

TEST_CASE("R06: several challenges in one field are told apart", "[registry][challenge]") {
  CHECK(parse_challenges(R"(Negotiate, Bearer realm="a",service=b, Basic realm="c")") ==
        List{{"negotiate", {}}, {"bearer", {{"realm", "a"}, {"service", "b"}}}, {"basic", {{"realm", "c"}}}});
}

TEST_CASE("the first parameter of a name counts", "[registry][challenge]") {
  CHECK(parse_challenges("Bearer realm=a,realm=b") == List{{"bearer", {{"realm", "a"}}}});
}

TEST_CASE("R06: what cannot be understood ends the reading and keeps what came before",
          "[registry][challenge]") {
  CHECK(parse_challenges("").empty());
  CHECK(parse_challenges(" ,, ").empty());
  CHECK(parse_challenges("=").empty());
  CHECK(parse_challenges(R"(Bearer realm="not closed)").empty());
  CHECK(parse_challenges(R"(Bearer realm="x\)").empty());
  CHECK(parse_challenges(R"(Basic realm="a", Bearer realm="not closed)") ==
        List{{"basic", {{"realm", "a"}}}});
  CHECK(parse_challenges("Bearer realm=").empty());
  CHECK(parse_challenges("\"Bearer\" realm=a").empty());
}

TEST_CASE("R06: a field of absurd size is bounded", "[registry][challenge]") {
  std::string many = "Bearer ";
  for (int i = 0; i < 1000; ++i) many += "p" + std::to_string(i) + "=1,";
  CHECK(parse_challenges(many).empty());
  CHECK(parse_challenges("Basic realm=" + std::string(20000, 'a')).empty());
  std::string schemes;
  for (int i = 0; i < 100; ++i) schemes += "Negotiate, ";
  CHECK(parse_challenges(schemes).size() == 8);
}
