#include <catch2/catch.hpp>

#include "error_of.h"
#include "network_fixture.h"

using namespace lay;
using namespace lay::test;

TEST_CASE("a published port is reached from everywhere", "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"8080:80", "5353:53/udp"});
  const NetworkContainer other(world.run, "other");
  const UniqueFd tcp = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  const UniqueFd udp = serve(web.netns(), SOCK_DGRAM, "0.0.0.0", 53);
  const std::string& gateway = web.got().gateway;

  SECTION("from the host by 127.0.0.1") {
    CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
    CHECK(accept_from(tcp) == gateway);
    CHECK(exchange_datagrams(world.host.netns(), "127.0.0.1", 5353, udp) == gateway);
  }
  SECTION("from the host by its own address") {
    CHECK(can_connect(world.host.netns(), "198.51.100.1", 8080));
    CHECK_FALSE(accept_from(tcp).empty());
    CHECK_FALSE(exchange_datagrams(world.host.netns(), "198.51.100.1", 5353, udp).empty());
  }
  SECTION("from another machine, whose address the container sees") {
    CHECK(can_connect(world.outside.netns(), "198.51.100.1", 8080));
    CHECK(accept_from(tcp) == "198.51.100.2");
    CHECK(exchange_datagrams(world.outside.netns(), "198.51.100.1", 5353, udp) == "198.51.100.2");
  }
  SECTION("from another container by the host's address") {
    CHECK(can_connect(other.netns(), "198.51.100.1", 8080));
    CHECK(accept_from(tcp) == gateway);
    CHECK(exchange_datagrams(other.netns(), gateway, 5353, udp) == gateway);
  }
  SECTION("from the container itself by the host's address") {
    CHECK(can_connect(web.netns(), "198.51.100.1", 8080));
    CHECK(accept_from(tcp) == gateway);
    CHECK(exchange_datagrams(web.netns(), "198.51.100.1", 5353, udp) == gateway);
  }
}

TEST_CASE("a port published on one address is not reached by another", "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"198.51.100.1:8080:80"});
  const UniqueFd server = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.outside.netns(), "198.51.100.1", 8080));
  CHECK_FALSE(can_connect(world.host.netns(), "127.0.0.1", 8080));
}

TEST_CASE("N04: a port published on 127.0.0.1 is the host's alone", "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"127.0.0.1:8080:80"});
  const NetworkContainer other(world.run, "other");
  const UniqueFd server = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
  REQUIRE_FALSE(accept_from(server).empty());

  // A neighbour that sends packets for 127.0.0.1 to the host
  const std::string send_loopback =
      "ip route del table local local 127.0.0.0/8 dev lo; ip route del table local local 127.0.0.1 dev lo; "
      "for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 >$f; done; ip route add 127.0.0.1 via ";
  world.in_outside(send_loopback + "198.51.100.1 src 198.51.100.2");
  inside(other.netns(), [&] { shell(send_loopback + other.got().gateway + " src " + other.got().address); });
  const UniqueFd at_host = serve(world.host.netns(), SOCK_STREAM, "127.0.0.1", 81);
  for (const UniqueFd* neighbour : {&world.outside.netns(), &other.netns()}) {
    CHECK_FALSE(can_connect(*neighbour, "127.0.0.1", 8080, 300));
    CHECK_FALSE(can_connect(*neighbour, "127.0.0.1", 81, 300));
  }
  CHECK_FALSE(can_connect(world.outside.netns(), "198.51.100.1", 8080, 300));
  CHECK_FALSE(wait_readable(server, 0));
  CHECK_FALSE(wait_readable(at_host, 0));
  CHECK(can_connect(world.host.netns(), "127.0.0.1", 81));
}

TEST_CASE("N04: another machine that routes to a container's address reaches no port of it",
          "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"127.0.0.1:8080:80", "8443:443"});
  world.in_outside("ip route add 10.0.0.0/8 via 198.51.100.1");
  const UniqueFd on_loopback = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  const UniqueFd published = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 443);
  const UniqueFd unpublished = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 5432);
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443, 5432})
    CHECK_FALSE(can_connect(world.outside.netns(), web.got().address, port, 300));
  CHECK(can_connect(world.outside.netns(), "198.51.100.1", 8443));
}

TEST_CASE("the kernel chooses a free host port for port 0", "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"80", "127.0.0.1::80"});
  const UniqueFd server = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  REQUIRE(web.got().ports.size() == 2);
  for (const runner::PortMapping& port : web.got().ports) {
    CHECK(port.host_port != 0);
    CHECK(can_connect(world.host.netns(), "127.0.0.1", port.host_port));
  }
}

TEST_CASE("a port in use is refused before anything is made", "[runner][network][ports]") {
  const TwoMachines world;
  const std::string before = world.traces();
  const UniqueFd server = serve(world.host.netns(), SOCK_STREAM, "127.0.0.1", 8080);
  const Error error = error_of([&] { NetworkContainer(world.run, "web", {"8080:80"}); });
  CHECK(error.code() == Errc::busy);
  CHECK(error.message() == "port 8080/tcp is already in use on 0.0.0.0");
  CHECK_THAT(error.hint(), Catch::Contains("lay ps"));
  CHECK(world.traces() == before);
}

TEST_CASE("two containers cannot publish the same port", "[runner][network][ports]") {
  const TwoMachines world;
  NetworkContainer one(world.run, "one", {"8080:80"});
  CHECK(error_of([&] { NetworkContainer(world.run, "two", {"127.0.0.1:8080:80"}); }).code() == Errc::busy);
  CHECK_NOTHROW(NetworkContainer(world.run, "two", {"8080:80/udp"}));
  one.end();
  CHECK_NOTHROW(NetworkContainer(world.run, "two", {"8080:80"}));
}

TEST_CASE("an address that the host does not have is refused", "[runner][network][ports]") {
  const TwoMachines world;
  const Error error = error_of([&] { NetworkContainer(world.run, "web", {"192.0.2.77:8080:80"}); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.message(), Catch::Contains("no address 192.0.2.77"));
}

TEST_CASE("a UDP client that never stops sending follows the port from container to container",
          "[runner][network][ports]") {
  const TwoMachines world;
  const UniqueFd client = inside(world.outside.netns(), [] {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in host = socket_address("198.51.100.1", 5353);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&host), sizeof host) < 0)
      throw Error::from_errno("connect");
    return fd;
  });
  const auto reaches = [&](const UniqueFd& server) {
    return poll_until([&] {
      static_cast<void>(::send(client.get(), "ping", 4, 0));  // refused as long as nobody is there
      return wait_readable(server, 100);
    });
  };
  const NetworkContainer other(world.run, "other");  // keeps conntrack and the table in use
  ::send(client.get(), "ping", 4, 0);
  for (const char* id : {"first", "second"}) {
    const NetworkContainer container(world.run, id, {"5353:53/udp"});
    const UniqueFd server = serve(container.netns(), SOCK_DGRAM, "0.0.0.0", 53);
    CHECK(reaches(server));
  }
}

namespace {

/// Whether a server that sets SO_REUSEADDR, as most do, gets the port.
bool can_listen_with_reuse(std::uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in address = socket_address("0.0.0.0", port);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(fd.get(), 1) == 0;
}

/// Leaves a connection in TIME_WAIT on `port`, as a server does that closes first.
void leave_closed_connection(const UniqueFd& netns, std::uint16_t port) {
  const UniqueFd server = serve(netns, SOCK_STREAM, "0.0.0.0", port);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = socket_address("127.0.0.1", port);
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  UniqueFd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  accepted.reset();
  REQUIRE(wait_readable(client, 2000));
  client.reset();
}

}  // namespace

TEST_CASE("a held port cannot be taken with SO_REUSEADDR", "[runner][network][ports]") {
  const TwoMachines world;
  const NetworkContainer web(world.run, "web", {"8080:80"});
  CHECK_FALSE(can_listen_with_reuse(8080));
}

TEST_CASE("closed connections that linger do not keep a port from being published",
          "[runner][network][ports]") {
  const TwoMachines world;
  leave_closed_connection(world.host.netns(), 8080);
  REQUIRE_THAT(world.in_host("cat /proc/thread-self/net/tcp"), Catch::Contains(":1F90"));  // 8080
  const NetworkContainer web(world.run, "web", {"8080:80"});
  const UniqueFd server = serve(web.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
  CHECK_FALSE(can_listen_with_reuse(8080));
  CHECK(error_of([&] { NetworkContainer(world.run, "two", {"8080:80"}); }).code() == Errc::busy);
}
