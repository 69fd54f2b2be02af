#include <catch2/catch.hpp>

#include "error_of.h"
#include "runner/network.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

namespace {

PortMapping one_mapping(const std::string& text) {
  const std::vector<PortMapping> ports = parse_port_mappings(text);
  REQUIRE(ports.size() == 1);
  return ports.front();
}

using Ports = std::vector<PortMapping>;

/// As when no address is given.
PortMapping anywhere(std::uint16_t host, std::uint16_t container, Protocol protocol = Protocol::tcp,
                     std::uint16_t last = 0) {
  return {"0.0.0.0", host, container, protocol, last, true};
}

}  // namespace

TEST_CASE("a port mapping is host port and container port", "[runner][network]") {
  CHECK(one_mapping("8080:80") == anywhere(8080, 80, Protocol::tcp));
  CHECK(one_mapping("53:5353/udp") == anywhere(53, 5353, Protocol::udp));
  CHECK(one_mapping("53:53/TCP") == anywhere(53, 53, Protocol::tcp));
  CHECK(one_mapping("65535:1") == anywhere(65535, 1, Protocol::tcp));
}

TEST_CASE("a port mapping may name the host's address", "[runner][network]") {
  CHECK(one_mapping("127.0.0.1:8080:80") == PortMapping{"127.0.0.1", 8080, 80, Protocol::tcp});
  CHECK(one_mapping("0.0.0.0:8080:80/udp") == PortMapping{"0.0.0.0", 8080, 80, Protocol::udp});
}

TEST_CASE("a port mapping may name an address of IPv6, in brackets", "[runner][network]") {
  CHECK(one_mapping("[::1]:8080:80") == PortMapping{"::1", 8080, 80});
  CHECK(one_mapping("[2001:DB8:0::1]::53/udp") == PortMapping{"2001:db8::1", 0, 53, Protocol::udp});
  CHECK(parse_port_mappings("[::]:8000-8001:80-81") == Ports{{"::", 8000, 80}, {"::", 8001, 81}});
  CHECK(to_string(one_mapping("[::1]:8080:80")) == "[::1]:8080->80/tcp");
}

TEST_CASE("without a host port a free one is to be chosen", "[runner][network]") {
  const PortMapping any = anywhere(0, 80);
  CHECK(one_mapping("80") == any);
  CHECK(one_mapping(":80") == any);
  CHECK(one_mapping("0:80") == any);
  CHECK(one_mapping("127.0.0.1::80") == PortMapping{"127.0.0.1", 0, 80, Protocol::tcp});
}

TEST_CASE("ranges of ports are one mapping for each port of the container", "[runner][network]") {
  CHECK(parse_port_mappings("8000-8001:80-81/udp") ==
        Ports{anywhere(8000, 80, Protocol::udp), anywhere(8001, 81, Protocol::udp)});
  CHECK(parse_port_mappings("127.0.0.1:8000-8001:80-81") ==
        Ports{{"127.0.0.1", 8000, 80}, {"127.0.0.1", 8001, 81}});
  CHECK(parse_port_mappings("80-81") == Ports{anywhere(0, 80), anywhere(0, 81)});
  CHECK(parse_port_mappings("127.0.0.1::80-81") == Ports{{"127.0.0.1", 0, 80}, {"127.0.0.1", 0, 81}});
}

TEST_CASE("a range of host ports for one port of the container is one mapping", "[runner][network]") {
  const PortMapping port = one_mapping("8000-8010:80");
  CHECK(port == anywhere(8000, 80, Protocol::tcp, 8010));
  CHECK(one_mapping("8000-8000:80") == anywhere(8000, 80, Protocol::tcp));
}

TEST_CASE("exposed ports are published on free ones", "[runner][network]") {
  CHECK(parse_exposed_ports("80-81/udp") ==
        Ports{anywhere(0, 80, Protocol::udp), anywhere(0, 81, Protocol::udp)});
  CHECK(parse_exposed_ports("443") == Ports{anywhere(0, 443)});
  for (const char* bad : {"", "8080:80", "127.0.0.1:8080:80", "0", "80/", "a"})
    CHECK(error_of([&] { parse_exposed_ports(bad); }).code() == Errc::invalid);
}

TEST_CASE("a MAC address is that of one station", "[runner][network]") {
  CHECK(parse_mac_address("02:42:AC:11:00:02") == "02:42:ac:11:00:02");
  CHECK(parse_mac_address("02-42-ac-11-00-02") == "02:42:ac:11:00:02");
  for (const char* bad : {"", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "01:42:ac:11:00:02",
                          "0:42:ac:11:00:002", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "02:42:ac:11:00:0g",
                          "02:42:ac:11:00:02\n", "+2:42:ac:11:00:02", "02 42 ac 11 00 02"}) {
    CAPTURE(bad);
    CHECK(error_of([&] { parse_mac_address(bad); }).code() == Errc::invalid);
  }
}

TEST_CASE("a malformed port mapping is refused with a hint", "[runner][network]") {
  const auto text = GENERATE(
      as<std::string>{}, "", ":", "a", "80:", "8080:0", "0", "65536:80", "80:65536", "-1:80", "+80:80",
      " 80:80", "80:80 ", "80:80/", "80:80/icmp", "80/tcp:80", "::80", ":80:80", "1.2.3:80:80",
      "1.2.3.4.5:80:80", "localhost:80:80", "256.0.0.1:80:80", "224.0.0.1:80:80", "127.0.0.1:80", "::1:80:80",
      "[::1]:80", "[::1]", "[::1]80:80", "[::1]:1:2:3", "[fe80::1]:80:80", "[ff02::1]:80:80",
      "[::ffff:1.2.3.4]:80:80", "[1.2.3.4]:80:80", "8\n0:80", "99999999999999999999:80", "0x50:80",
      "8000-8001:80-82", "80:8000-8010", "8001-8000:80", "0-1:80", "8000-:80", "-8000:80", "80-90-95",
      "[::g]:80:80", "[::1:80:80", "8000-8001-8002:80", "127.0.0.1:80-81");
  CAPTURE(text);
  const Error error = error_of([&] { parse_port_mappings(text); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.hint(), Catch::Contains("8080:80"));
  CHECK(error.message().find('\n') == std::string::npos);
}

TEST_CASE("what other tools publish and lay does not is said to be unsupported", "[runner][network]") {
  const auto text = GENERATE(as<std::string>{}, "80:80/sctp", "[::1]:80:80/sctp");
  CAPTURE(text);
  const Error error = error_of([&] { parse_port_mappings(text); });
  CHECK(error.code() == Errc::unsupported);
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE("a port mapping is shown as address, port and target", "[runner][network]") {
  CHECK(to_string(one_mapping("8080:80")) == "0.0.0.0:8080->80/tcp");
  CHECK(to_string(one_mapping("127.0.0.1:53:53/udp")) == "127.0.0.1:53->53/udp");
}

TEST_CASE("a network is one of four modes", "[runner][network]") {
  CHECK(parse_network("bridge").mode == NetworkMode::bridge);
  CHECK(parse_network("none").mode == NetworkMode::none);
  CHECK(parse_network("host").mode == NetworkMode::host);
  const NetworkConfig joined = parse_network("container:web.1");
  CHECK(joined.mode == NetworkMode::container);
  CHECK(joined.container == "web.1");
}

TEST_CASE("an unknown network is refused with a hint", "[runner][network]") {
  const auto text =
      GENERATE(as<std::string>{}, "", "brid/ge", "default", "container", "container:", "container:../x",
               "container:-web", "container:a b", "host ", "bridge\n");
  CAPTURE(text);
  const Error error = error_of([&] { parse_network(text); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.hint(), Catch::Contains("container:NAME"));
}
