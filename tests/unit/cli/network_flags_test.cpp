#include "flags/network_flags.h"

#include <catch2/catch.hpp>

#include "error_of.h"
#include "lists/port_listing.h"

using namespace lay;
using namespace lay::cli;
using lay::test::error_of;

namespace {

runner::NetworkConfig with(const NetworkFlags& flags, const std::set<std::string>& exposed = {},
                           const std::string& mode = "bridge", const std::string& port = {}) {
  runner::NetworkConfig network = runner::parse_network(mode);
  if (!port.empty()) network.ports = runner::parse_port_mappings(port);
  flags.apply(network, exposed);
  return network;
}

}  // namespace

TEST_CASE("-P publishes what the image and --expose name and -p does not", "[cli][network]") {
  const auto ports =
      with({.expose = {"90-91"}, .publish_all = true}, {"443", "53/udp", "80/tcp"}, "bridge", "8080:80")
          .ports;
  REQUIRE(ports.size() == 5);
  CHECK(ports[0].host_port == 8080);
  CHECK(runner::to_string(ports[1]) == "0.0.0.0:0->443/tcp");
  CHECK(runner::to_string(ports[2]) == "0.0.0.0:0->53/udp");
  CHECK(runner::to_string(ports[3]) == "0.0.0.0:0->90/tcp");
  CHECK(with({}, {"443"}).ports.empty());
}

TEST_CASE("-P refuses what cannot be published", "[cli][network]") {
  CHECK(error_of([] { with({.publish_all = true}, {"80"}, "host"); }).code() == Errc::invalid);
  CHECK(error_of([] { with({.publish_all = true}, {"1-65535"}); }).code() == Errc::unsupported);
  CHECK(error_of([] { with({}, {}, "bridge", "8000-8900:8000-8900"); }).code() == Errc::unsupported);
  CHECK(error_of([] { with({.publish_all = true}, {"x;y"}); }).code() == Errc::invalid);
  CHECK(error_of([] { with({.expose = {"x"}}); }).code() == Errc::invalid);
}

TEST_CASE("flags that a network mode has no room for are refused", "[cli][network]") {
  CHECK_THROWS_AS(with({.dns = {"1.2.3.4"}}, {}, "container:web"), Error);
  CHECK_THROWS_AS(with({.hosts = {"a:1.2.3.4"}}, {}, "container:web"), Error);
  CHECK_THROWS_AS(with({.mac_address = "02:42:ac:11:00:02"}, {}, "host"), Error);
  CHECK_THROWS_AS(with({.hosts = {"a:1.2.3.4"}, .no_hosts = true}), Error);
  CHECK_THROWS_AS(with({.dns = {"none"}, .dns_options = {"x"}}), Error);
  CHECK(with({.dns = {"none"}}).resolver.resolver_file == runner::EtcFile::images_own);
  CHECK(with({.no_hosts = true}).resolver.hosts_file == runner::EtcFile::images_own);
}

TEST_CASE("consecutive ports are listed as a range", "[cli][network]") {
  CHECK(describe_ports(runner::parse_port_mappings("8000-8002:80-82")) == "0.0.0.0:8000-8002->80-82/tcp");
  auto ports = runner::parse_port_mappings("8000-8001:80-81/udp");
  ports.push_back(runner::parse_port_mappings("8002:82").front());
  CHECK(describe_ports(ports) == "0.0.0.0:8000-8001->80-81/udp, 0.0.0.0:8002->82/tcp");
  CHECK(describe_ports(runner::parse_port_mappings("8000-8010:80")) == "0.0.0.0:8000-8010->80/tcp");
  CHECK(describe_ports(runner::parse_port_mappings("80-81")) == "0.0.0.0:0->80/tcp, 0.0.0.0:0->81/tcp");
}
