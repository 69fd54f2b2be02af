#include <catch2/catch.hpp>

#include "base/error.h"
#include "network/nftables_rules.h"
#include "network/peer_names.h"
#include "runner/network.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("a network of users is taken with its options", "[runner][network]") {
  const NetworkConfig network = parse_network("back:alias=db,alias=sql,ip=10.5.0.9,mac=02:00:00:00:00:01");
  CHECK(network.mode == NetworkMode::bridge);
  CHECK(network.name == "back");
  CHECK(network.aliases == std::vector<std::string>{"db", "sql"});
  CHECK(network.address == "10.5.0.9");
  CHECK(network.mac_address == "02:00:00:00:00:01");
}

TEST_CASE("N07: neither network nor alias brings lines or blanks into a hosts file", "[runner][network]") {
  for (const char* text : {"back:alias=a\nb", "back:alias=a b", "back:alias=", "back:alias=-x", "back:what=x",
                           "a/b", "../x", "a;b", ""})
    CHECK_THROWS_AS(parse_network(text), Error);
}

TEST_CASE("the lines of others are replaced and what a user wrote stays", "[runner][network]") {
  const std::vector<Peer> one{{"10.5.0.2", {"a", "x"}}};
  const std::vector<Peer> two{{"10.5.0.2", {"a"}}, {"10.5.0.3", {"b"}}};
  const std::string first = with_peers("127.0.0.1\tlocalhost\n", "a1", one);
  CHECK(first.find("10.5.0.2\ta x\n") != std::string::npos);
  const std::string second = with_peers(first + "9.9.9.9\tmine\n", "a1", two);
  CHECK(second.starts_with("127.0.0.1\tlocalhost\n"));
  CHECK(second.ends_with("9.9.9.9\tmine\n"));
  CHECK(second.find("\ta x\n") == std::string::npos);
  CHECK(second.find("10.5.0.2\ta\n10.5.0.3\tb\n") != std::string::npos);
  CHECK(with_peers(second, "a1", two) == second);
  const std::string both = with_peers(second, "b2", one);  // a container on two networks
  CHECK(with_peers(both, "b2", {}) == second);
  CHECK(with_peers(both, "a1", two) == both);
}

TEST_CASE("a container's own name leads to another address, and no other line changes", "[runner][network]") {
  const std::string hosts = "127.0.0.1\tlocalhost\n10.5.0.21\tother\n10.5.0.2\tweb\n";
  CHECK(with_own_address(hosts, {"web", "10.5.0.2", "10.6.0.9"}) ==
        "127.0.0.1\tlocalhost\n10.5.0.21\tother\n10.6.0.9\tweb\n");
  CHECK(with_own_address(hosts, {"web", "10.5.0.9", "10.6.0.9"}) == hosts);
  const std::string added = "10.5.0.2\tmine\n10.5.0.2\tweb2\n10.5.0.2\tweb\n10.5.0.2\tweb alias\n";
  CHECK(with_own_address(added, {"web", "10.5.0.2", "10.6.0.9"}) ==
        "10.5.0.2\tmine\n10.5.0.2\tweb2\n10.6.0.9\tweb\n10.6.0.9\tweb alias\n");
}

TEST_CASE("a definition of a network is read back as it was written", "[runner][network]") {
  const NetworkDefinition network{.id = std::string(64, 'a'),
                                  .name = "back",
                                  .created = {},
                                  .subnet = "10.5.0.0/24",
                                  .reach = Reach::inside,
                                  .mtu = 1400,
                                  .labels = {{"k", "v"}}};
  const NetworkDefinition read = parse_network_definition(network_text(network));
  CHECK(read.id == network.id);
  CHECK(read.subnet == network.subnet);
  CHECK(read.gateway() == "10.5.0.1");
  CHECK(read.reach == Reach::inside);
  CHECK(read.mtu == 1400);
  CHECK(read.labels == network.labels);
  CHECK_THROWS_AS(parse_network_definition("{}"), Error);
}

TEST_CASE("a network keeps what it bars its containers from", "[runner][network]") {
  NetworkDefinition network{
      .id = std::string(64, 'a'), .name = "back", .created = {}, .subnet = "10.5.0.0/24"};
  CHECK(parse_network_definition(network_text(network)).neighbours == Neighbours::in_reach);
  network.neighbours = Neighbours::apart;
  network.metadata = Metadata::blocked;
  const NetworkDefinition read = parse_network_definition(network_text(network));
  CHECK(read.neighbours == Neighbours::apart);
  CHECK(read.metadata == Metadata::blocked);
  network.driver = NetworkDriver::macvlan;
  network.parent = "eth0";
  CHECK_THROWS_AS(check_network(network), Error);
}

TEST_CASE("a subnet where no machine can have an address is refused", "[runner][network]") {
  const auto check = [](const char* subnet, const char* subnet6) {
    NetworkDefinition network;
    network.subnet = subnet;
    network.subnet6 = subnet6;
    check_network(network);
  };
  CHECK_NOTHROW(check("10.5.0.0/24", "fd00::/64"));
  for (const char* subnet : {"224.0.0.0/24", "239.1.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "127.5.0.0/24"})
    CHECK_THROWS_AS(check(subnet, ""), Error);
  for (const char* subnet6 : {"ff00::/64", "fe80::/64"})
    CHECK_THROWS_AS(check("10.5.0.0/24", subnet6), Error);
}

TEST_CASE("a subnet must have room for containers", "[runner][network]") {
  CHECK(check_network_subnet("10.5.0.0/29") == "10.5.0.0/29");
  for (const char* text : {"10.5.0.0/30", "10.5.0.1/24", "0.0.0.0/0", "fd00::/64", "10.5.0.0", "x"})
    CHECK_THROWS_AS(check_network_subnet(text), Error);
}

TEST_CASE("an internal network translates nothing and lets nothing out", "[runner][network]") {
  for (const RulePlan& rule : nat_rules(Reach::inside)) {
    CHECK(rule.action != Action::masquerade);
    CHECK((rule.action == Action::drop || rule.chain == "host"));
  }
}
