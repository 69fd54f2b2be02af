#include <catch2/catch.hpp>

#include "error_of.h"
#include "runner/network.h"

using namespace lay;
using namespace lay::runner;
using lay::test::error_of;

TEST_CASE("a port mapping is host port and container port", "[runner][network]") {
  CHECK(parse_port_mapping("8080:80") == PortMapping{"0.0.0.0", 8080, 80, Protocol::tcp});
  CHECK(parse_port_mapping("53:5353/udp") == PortMapping{"0.0.0.0", 53, 5353, Protocol::udp});
  CHECK(parse_port_mapping("53:53/TCP") == PortMapping{"0.0.0.0", 53, 53, Protocol::tcp});
  CHECK(parse_port_mapping("65535:1") == PortMapping{"0.0.0.0", 65535, 1, Protocol::tcp});
}

TEST_CASE("a port mapping may name the host's address", "[runner][network]") {
  CHECK(parse_port_mapping("127.0.0.1:8080:80") == PortMapping{"127.0.0.1", 8080, 80, Protocol::tcp});
  CHECK(parse_port_mapping("0.0.0.0:8080:80/udp") == PortMapping{"0.0.0.0", 8080, 80, Protocol::udp});
}

TEST_CASE("without a host port a free one is to be chosen", "[runner][network]") {
  const PortMapping any{"0.0.0.0", 0, 80, Protocol::tcp};
  CHECK(parse_port_mapping("80") == any);
  CHECK(parse_port_mapping(":80") == any);
  CHECK(parse_port_mapping("0:80") == any);
  CHECK(parse_port_mapping("127.0.0.1::80") == PortMapping{"127.0.0.1", 0, 80, Protocol::tcp});
}

TEST_CASE("a malformed port mapping is refused with a hint", "[runner][network]") {
  const auto text =
      GENERATE(as<std::string>{}, "", ":", "a", "80:", "8080:0", "0", "65536:80", "80:65536", "-1:80",
               "+80:80", " 80:80", "80:80 ", "80:80/", "80:80/icmp", "80/tcp:80", "::80", ":80:80",
               "1.2.3:80:80", "1.2.3.4.5:80:80", "localhost:80:80", "256.0.0.1:80:80", "224.0.0.1:80:80",
               "127.0.0.1:80", "8\n0:80", "99999999999999999999:80", "0x50:80");
  CAPTURE(text);
  const Error error = error_of([&] { parse_port_mapping(text); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.hint(), Catch::Contains("8080:80"));
  CHECK(error.message().find('\n') == std::string::npos);
}

TEST_CASE("what other tools publish and lay does not is said to be unsupported", "[runner][network]") {
  const auto text =
      GENERATE(as<std::string>{}, "8000-8010:80", "80:8000-8010", "[::1]:80:80", "::1:80:80", "80:80/sctp");
  CAPTURE(text);
  const Error error = error_of([&] { parse_port_mapping(text); });
  CHECK(error.code() == Errc::unsupported);
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE("a port mapping is shown as address, port and target", "[runner][network]") {
  CHECK(to_string(parse_port_mapping("8080:80")) == "0.0.0.0:8080->80/tcp");
  CHECK(to_string(parse_port_mapping("127.0.0.1:53:53/udp")) == "127.0.0.1:53->53/udp");
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
      GENERATE(as<std::string>{}, "", "Bridge", "nat", "container", "container:", "container:../x",
               "container:-web", "container:a b", "host ", "bridge\n");
  CAPTURE(text);
  const Error error = error_of([&] { parse_network(text); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.hint(), Catch::Contains("container:NAME"));
}
