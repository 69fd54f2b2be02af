#include <catch2/catch.hpp>

#include "network/leases.h"
#include "network/names.h"

using namespace lay::runner;

TEST_CASE("the usual RUN has the short names", "[runner][network]") {
  CHECK(network_names("/run/lay").bridge == "lay0");
  CHECK(network_names("/run/lay").table == "lay");
  CHECK(network_names("/run//lay/").bridge == "lay0");
}

TEST_CASE("another RUN has names of its own that the kernel takes", "[runner][network]") {
  const NetworkNames names = network_names("/tmp/one");
  CHECK_THAT(names.bridge, Catch::Matches("lay-[0-9a-f]{6}"));
  CHECK(names.table == names.bridge);
  CHECK(names.bridge == network_names("/tmp/one/").bridge);
  CHECK(names.bridge != network_names("/tmp/two").bridge);
}

TEST_CASE("a link is named after container and attempt in fifteen characters", "[runner][network]") {
  CHECK_THAT(veth_name("any/text at all\n", 0), Catch::Matches("lay[0-9a-f]{12}"));
  CHECK(veth_name("one", 0) == veth_name("one", 0));
  CHECK(veth_name("one", 0) != veth_name("two", 0));
  CHECK(veth_name("one", 0) != veth_name("one", 1));
}

TEST_CASE("a MAC address is locally administered and holds the IPv4 address", "[runner][network]") {
  CHECK(to_string(mac_address(parse_ipv4("10.99.1.2").value())) == "02:6c:0a:63:01:02");
}

TEST_CASE("a lease file is read as it was written", "[runner][network]") {
  const LeaseRecord record{
      .container = "id",
      .veth = "lay012345678901",
      .ports = {{"0.0.0.0", 8080, 80, Protocol::tcp}, {"127.0.0.1", 53, 5353, Protocol::udp}}};
  CHECK(parse_lease(lease_text(record)) == record);
}

TEST_CASE("a lease file that cannot be read holds nothing", "[runner][network]") {
  const auto text = GENERATE(as<std::string>{}, "", "{", "[]", "{\"container\":1}",
                             "{\"container\":\"a\",\"veth\":\"b\",\"ports\":[{}]}");
  CHECK(parse_lease(text) == LeaseRecord{});
}
