#include <catch2/catch.hpp>

#include "base/error.h"
#include "network/address6.h"
#include "network/sender_rules.h"
#include "runner/network_store.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("an IPv6 subnet is read with its bounds, and holds what is within", "[runner][network]") {
  const Subnet6 subnet = parse_subnet6("fd00:1::/64").value();
  CHECK(to_string(subnet) == "fd00:1::/64");
  CHECK(to_string(subnet.gateway()) == "fd00:1::1");
  CHECK(to_string(subnet.host(0x01020304)) == "fd00:1::102:304");
  CHECK(subnet.contains(parse_ipv6("fd00:1::ffff").value()));
  CHECK_FALSE(subnet.contains(parse_ipv6("fd00:1:0:1::1").value()));
  CHECK(subnet.overlaps(parse_subnet6("fd00::/16").value()));
  CHECK_FALSE(subnet.overlaps(parse_subnet6("fd00:2::/64").value()));
  for (const char* wrong : {"fd00:1::1/64", "fd00::/129", "fd00::", "10.0.0.0/8", "fd00::%lo/64", ""})
    CHECK_FALSE(parse_subnet6(wrong));
}

TEST_CASE("a subnet of lay's own choice is a unique local one", "[runner][network]") {
  const Subnet6 subnet = parse_subnet6(random_subnet6()).value();
  CHECK(subnet.prefix_length == 64);
  CHECK(parse_subnet6("fd00::/8").value().contains(subnet.address));
  CHECK(random_subnet6() != random_subnet6());
  CHECK(to_string(local_subnet6("123456789a")) == "fd12:3456:789a::/64");
}

TEST_CASE("a network has as many IPv6 addresses as IPv4 ones, and a gateway among them",
          "[runner][network]") {
  NetworkDefinition network{
      .id = "a", .name = "back", .created = {}, .subnet = "10.5.0.0/16", .subnet6 = "fd00:1::/112"};
  CHECK_NOTHROW(check_network(network));
  CHECK(network.gateway6() == "fd00:1::1");
  network.subnet6 = "fd00:1::/113";
  CHECK_THROWS_AS(check_network(network), Error);
  network.subnet6 = "fd00:1::/64";
  network.wished_gateway6 = "fd00:1::5";
  CHECK_NOTHROW(check_network(network));
  CHECK(network.gateway6() == "fd00:1::5");
  for (const char* wrong : {"fd00:2::5", "fd00:1::", "fe80::1", "10.5.0.1", "x"}) {
    network.wished_gateway6 = wrong;
    CHECK_THROWS_AS(check_network(network), Error);
  }
  network.driver = NetworkDriver::macvlan;
  network.parent = "eth0";
  network.wished_gateway6 = "fe80::1";
  CHECK_NOTHROW(check_network(network));
  network.subnet6.clear();
  CHECK_THROWS_AS(check_network(network), Error);
  network.wished_gateway6.clear();
  CHECK_NOTHROW(check_network(network));
  network.reach = Reach::inside;
  CHECK_THROWS_AS(check_network(network), Error);
  network.reach = Reach::everywhere;
  network.parent.clear();
  CHECK_THROWS_AS(check_network(network), Error);
}

TEST_CASE("where containers have IPv6 addresses no frame of IPv6 passes unjudged", "[runner][network]") {
  const auto passes_any = [](Families families) {
    for (const SenderRule& rule : sender_rules(families))
      if (rule.verdict == SenderVerdict::accept && rule.matches == std::vector{SenderMatch::ipv6})
        return true;
    return false;
  };
  CHECK(passes_any(Families::ipv4));
  CHECK_FALSE(passes_any(Families::both));
}
