#include <catch2/catch.hpp>

#include "base/error.h"
#include "container/container_json.h"
#include "network/leases.h"
#include "runner/network.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("several networks are taken in their order, each once", "[runner][network]") {
  const NetworkConfig network = parse_networks({"back:alias=db", "bridge", "front:ip=10.5.0.9"});
  const std::vector<Endpoint> endpoints = endpoints_of(network);
  REQUIRE(endpoints.size() == 3);
  CHECK(endpoints[0].aliases == std::vector<std::string>{"db"});
  CHECK(shown_name(endpoints[1]) == "bridge");
  CHECK(endpoints[2].address == "10.5.0.9");
  CHECK(is_on(network, "front"));
  CHECK_FALSE(is_on(network, "side"));
  CHECK(endpoints_of(parse_networks({"one,two"})).size() == 2);
  CHECK(parse_networks({}).mode == NetworkMode::bridge);
  CHECK(parse_networks({"none"}).mode == NetworkMode::none);
  for (const char* other : {"back", "none", "host", "container:x", "ns:/x"})
    CHECK_THROWS_AS(parse_networks({"back", other}), Error);
}

TEST_CASE("a container's networks are read back as they were written", "[runner][network]") {
  ContainerConfig config{.id = "a", .name = "n", .created = {}, .lowers = {"/l"}, .network = {}};
  config.network = parse_networks({"back:alias=db,ip=10.5.0.9", "front:mac=02:00:00:00:00:01,ip6=fd00::9"});
  CHECK(endpoints_of(parse_container_config(to_json(config)).network) == endpoints_of(config.network));
  config.network = parse_network("ns:/proc/7/ns/net");
  const NetworkConfig read = parse_container_config(to_json(config)).network;
  CHECK(read.mode == NetworkMode::path);
  CHECK(read.path == "/proc/7/ns/net");
}

TEST_CASE("the next network takes the first place, and the last one leaves none", "[runner][network]") {
  NetworkConfig network = parse_networks({"back:alias=db", "front:ip=10.5.0.9"});
  network.ports = parse_port_mappings("8080:80");
  std::vector<Endpoint> endpoints = endpoints_of(network);
  endpoints.erase(endpoints.begin());
  set_endpoints(network, endpoints);
  CHECK(network.name == "front");
  CHECK(network.address == "10.5.0.9");
  CHECK(network.aliases.empty());
  CHECK(network.more.empty());
  set_endpoints(network, {});
  CHECK(network.mode == NetworkMode::none);
  CHECK(network.ports.size() == 1);
}

TEST_CASE("a gateway and a range are within the subnet, and the gateway is nobody's", "[runner][network]") {
  NetworkDefinition network{.id = "a", .name = "back", .created = {}, .subnet = "10.5.0.0/24"};
  CHECK(network.gateway() == "10.5.0.1");
  network.wished_gateway = "10.5.0.254";
  network.ip_range = "10.5.0.128/25";
  CHECK_NOTHROW(check_network(network));
  const AddressPool pool{*parse_subnet(network.subnet), *parse_ipv4(network.gateway()),
                         *parse_subnet(network.ip_range)};
  CHECK(pool.has(*parse_ipv4("10.5.0.1")));
  for (const char* other : {"10.5.0.0", "10.5.0.255", "10.5.0.254", "10.5.1.2"})
    CHECK_FALSE(pool.has(*parse_ipv4(other)));
  for (const char* wrong : {"10.5.0.0", "10.5.0.255", "10.6.0.1", "x"}) {
    network.wished_gateway = wrong;
    CHECK_THROWS_AS(check_network(network), Error);
  }
  network.wished_gateway.clear();
  for (const char* wrong : {"10.5.0.0/23", "10.6.0.0/28", "10.5.0.9", "x"}) {
    network.ip_range = wrong;
    CHECK_THROWS_AS(check_network(network), Error);
  }
}
