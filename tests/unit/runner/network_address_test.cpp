#include <catch2/catch.hpp>

#include "network/address.h"

using namespace lay::runner;

namespace {

Subnet subnet(const char* text) {
  return parse_subnet(text).value();
}

}  // namespace

TEST_CASE("an address is four decimal numbers", "[runner][network]") {
  CHECK(to_string(parse_ipv4("10.99.0.2").value()) == "10.99.0.2");
  CHECK(parse_ipv4("255.255.255.255") == Ipv4{0xffffffff});
  const auto text = GENERATE(as<std::string>{}, "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ", " 1.2.3.4",
                             "1.2.3.a", "0x1.2.3.4", "::1", std::string("1.2.3.4\0", 8));
  CAPTURE(text);
  CHECK_FALSE(parse_ipv4(text));
}

TEST_CASE("a subnet has no host bits", "[runner][network]") {
  CHECK(to_string(subnet("10.99.0.0/16")) == "10.99.0.0/16");
  CHECK(subnet("0.0.0.0/0").contains(Ipv4{0x01020304}));
  const auto text =
      GENERATE(as<std::string>{}, "", "10.99.0.0", "10.99.0.1/16", "10.99.0.0/33", "10.99.0.0/", "/16");
  CAPTURE(text);
  CHECK_FALSE(parse_subnet(text));
}

TEST_CASE("subnets overlap when one holds the other", "[runner][network]") {
  CHECK(subnet("10.99.0.0/16").overlaps(subnet("10.99.7.0/24")));
  CHECK(subnet("10.99.7.0/24").overlaps(subnet("10.0.0.0/8")));
  CHECK_FALSE(subnet("10.99.0.0/16").overlaps(subnet("10.100.0.0/16")));
}

TEST_CASE("container addresses lie between gateway and broadcast address", "[runner][network]") {
  const Subnet small = subnet("192.168.99.0/24");
  CHECK(to_string(small.gateway()) == "192.168.99.1");
  CHECK(to_string(small.host(0)) == "192.168.99.2");
  CHECK(to_string(small.host(small.capacity() - 1)) == "192.168.99.254");
}

TEST_CASE("the first subnet that nobody uses is chosen", "[runner][network]") {
  CHECK(choose_subnet({}) == subnet("10.99.0.0/16"));
  CHECK(choose_subnet(std::vector{subnet("10.99.1.0/24"), subnet("10.100.0.1/32")}) ==
        subnet("10.101.0.0/16"));
  CHECK(choose_subnet(std::vector{subnet("10.0.0.0/8")}) == subnet("192.168.99.0/24"));
  CHECK_FALSE(choose_subnet(std::vector{subnet("10.0.0.0/8"), subnet("192.168.0.0/16")}));
}

TEST_CASE("subnets that other container tools like are never chosen", "[runner][network]") {
  std::vector<Subnet> used;
  const std::vector<Subnet> others{subnet("10.88.0.0/16"), subnet("10.89.0.0/16"), subnet("172.16.0.0/12")};
  for (auto chosen = choose_subnet(used); chosen; chosen = choose_subnet(used)) {
    for (const Subnet& other : others) REQUIRE_FALSE(chosen->overlaps(other));
    used.push_back(*chosen);
  }
  CHECK(used.size() > 200);
}
