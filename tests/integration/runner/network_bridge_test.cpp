#include <catch2/catch.hpp>
#include <cstdlib>

#include "network/bridge_linger.h"
#include "network_fixture.h"

using namespace lay;
using namespace lay::test;

namespace {
bool publishes(const TwoMachines& world, std::string_view port) {
  return world.in_host("nft list ruleset").find(port) != std::string::npos;
}
}  // namespace

TEST_CASE("two containers reach the host and each other", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer one(world.run, "one");
  const NetworkContainer two(world.run, "two");
  REQUIRE(one.got().address != two.got().address);

  const UniqueFd at_two = serve(two.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(one.netns(), two.got().address, 80));
  CHECK(accept_from(at_two) == one.got().address);
  CHECK(can_connect(world.host.netns(), two.got().address, 80));
  CHECK(accept_from(at_two) == one.got().gateway);

  const UniqueFd at_host = serve(world.host.netns(), SOCK_STREAM, "0.0.0.0", 81);
  CHECK(can_connect(one.netns(), one.got().gateway, 81));
  CHECK(accept_from(at_host) == one.got().address);
}

TEST_CASE("a container has loopback, its address, its MAC address and a default route", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer container(world.run, "one");
  const auto in_container = [&](const std::string& command) {
    return inside(container.netns(), [&] { return shell(command).output; });
  };
  CHECK_THAT(in_container("ip -o link show eth0"), Catch::Contains(container.got().mac_address));
  CHECK_THAT(in_container("ip -o link show eth0"), Catch::Contains("LOWER_UP"));
  CHECK_THAT(in_container("ip -o -4 addr show eth0"), Catch::Contains(container.got().address + "/16"));
  CHECK(in_container("ip route show default") == "default via " + container.got().gateway + " dev eth0 \n");
  const UniqueFd server = serve(container.netns(), SOCK_STREAM, "127.0.0.1", 80);
  CHECK(can_connect(container.netns(), "127.0.0.1", 80));
}

TEST_CASE("router advertisements are not believed on either side", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer container(world.run, "one");
  const auto setting = [](const UniqueFd& netns, const std::string& name) {
    return inside(netns, [&] { return shell("cat /proc/sys/net/ipv6/conf/" + name).output; });
  };
  CHECK(setting(container.netns(), "eth0/accept_ra") == "0\n");
  CHECK(setting(container.netns(), "eth0/accept_dad") == "0\n");
  CHECK(setting(world.host.netns(), "lay-*/disable_ipv6") == "1\n");
}

TEST_CASE("a container reaches another machine under the host's address", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer container(world.run, "one");
  const UniqueFd tcp = serve(world.outside.netns(), SOCK_STREAM, "0.0.0.0", 9000);
  const UniqueFd udp = serve(world.outside.netns(), SOCK_DGRAM, "0.0.0.0", 9000);
  CHECK(can_connect(container.netns(), "198.51.100.2", 9000));
  CHECK(accept_from(tcp) == "198.51.100.1");
  CHECK(exchange_datagrams(container.netns(), "198.51.100.2", 9000, udp) == "198.51.100.1");
}

TEST_CASE("the bridge and its ports have the MTU of the uplink", "[runner][network]") {
  const TwoMachines world;
  world.in_host("ip link set up0 mtu 1400; ip route add default via 198.51.100.2 metric 50");
  // The dump has the lower table and prefix first: neither another table nor a worse metric may win
  world.in_host(
      "ip link add spare type veth peer name spare1; ip addr add 203.0.113.1/24 dev spare; ip link set "
      "spare1 up; "
      "ip link set spare up mtu 1300; ip route add default via 203.0.113.2 metric 60; "
      "ip route add default via 203.0.113.2 metric 10 table 100");
  const NetworkContainer container(world.run, "one");
  CHECK_THAT(inside(container.netns(), [] { return shell("ip -o link show eth0").output; }),
             Catch::Contains("mtu 1400"));
  CHECK_THAT(world.in_host("ip -o link show type bridge"), Catch::Contains("mtu 1400"));
  CHECK_THAT(world.in_host("ip -o link show master $(ip -o link show type bridge | cut -d' ' -f2 | tr -d :)"),
             Catch::Contains("mtu 1400"));
}

TEST_CASE("a subnet that a route of the host overlaps is not chosen", "[runner][network]") {
  const TwoMachines world;
  world.in_host("ip route add 10.99.128.0/17 via 198.51.100.2; ip addr add 10.100.3.4/24 dev up0");
  const NetworkContainer container(world.run, "one");
  CHECK(container.got().gateway == "10.101.0.1");
}

TEST_CASE("two RUNs share neither link nor table nor subnet", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer one(world.run, "one", {"8080:80"});
  const NetworkContainer two(world.folder.path() + "/other", "one", {"8081:80"});
  CHECK(one.got().gateway != two.got().gateway);
  const UniqueFd server = serve(two.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.host.netns(), "127.0.0.1", 8081));
  CHECK(world.in_host("nft list tables ip | wc -l") == "2\n");
  CHECK(world.in_host("nft list tables bridge | wc -l") == "2\n");
  CHECK(world.in_host("ip -o link show type bridge | wc -l") == "2\n");
}

TEST_CASE("with the last container everything on the host is gone", "[runner][network]") {
  const TwoMachines world;
  const std::string before = world.traces();
  {
    NetworkContainer one(world.run, "one", {"8080:80", "127.0.0.1:53:53/udp"});
    NetworkContainer two(world.run, "two", {"8081:80"});
    CHECK(world.traces() != before);
    one.end();
    CHECK(poll_until([&] { return !publishes(world, "8080"); }));
    CHECK(publishes(world, "8081"));
  }
  CHECK(poll_until([&] { return world.traces() == before; }));
}

TEST_CASE("the bridge stays for a moment, so that one container after the other uses the same",
          "[runner][network]") {
  const TwoMachines world;
  const std::string before = world.traces();
  const auto bridge_index = [&] { return world.in_host("ip -o link show type bridge | cut -d: -f1"); };
  NetworkContainer(world.run, "one", {"8080:80"}).end();
  const std::string index = bridge_index();
  CHECK_FALSE(index.empty());
  CHECK(poll_until([&] { return !publishes(world, "8080"); }));
  for (int i = 0; i < 5; ++i) {
    NetworkContainer(world.run, "next", {"8080:80"}).end();
    CHECK(bridge_index() == index);
  }
  CHECK(poll_until([&] { return world.traces() == before; }));
}

TEST_CASE("who publishes what one that has just ended published takes over its address",
          "[runner][network]") {
  const TwoMachines world;
  const std::vector<runner::PortMapping> first_ports{{"0.0.0.0", 8080, 80},
                                                     {"0.0.0.0", 8081, 81, runner::Protocol::udp}};
  NetworkContainer first(world.run, "first", {"8080:80", "8081:81/udp"});
  const std::string address = first.attachment->attachment().address;
  first.end();
  SECTION("and its place in the tables") {
    std::optional<NetworkContainer> next;
    std::string left = address;
    bool is_taken_over = false;
    for (int round = 0; round < 20 && !is_taken_over; ++round) {  // on a busy machine the moment may be over
      next.emplace(world.run, "next", std::vector<std::string>{"8080:80", "8081:81/udp"});
      is_taken_over = next->got().address == left;
      left = next->got().address;
      if (!is_taken_over) next->end();
    }
    REQUIRE(is_taken_over);
    const UniqueFd server = serve(next->netns(), SOCK_STREAM, "0.0.0.0", 80);
    CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
    CHECK(world.in_host("ls " + world.run + "/leases | wc -l") == "1\n");
  }
  SECTION("and leaves nothing when its start fails half way") {
    const NetworkContainer other(world.run, "other");  // the bridge stays
    { const auto next = runner::BridgeAttachment::reserve(world.run, "next", {.ports = first_ports}); }
    CHECK(poll_until([&] { return !publishes(world, "8080"); }));
    CHECK(poll_until([&] { return world.in_host("ls " + world.run + "/leases | wc -l") == "1\n"; }));
  }
  SECTION("but not with another MAC address, which neighbours do not know yet") {
    const auto next = runner::BridgeAttachment::reserve(
        world.run, "next", {.ports = first_ports, .mac_address = "02:00:00:00:00:02"});
    CHECK(next.attachment().address != address);
  }
  SECTION("but not when it publishes something else as well") {
    const NetworkContainer next(world.run, "next", {"8080:80", "8082:82"});
    CHECK(next.attachment->attachment().address != address);
    const UniqueFd server = serve(next.netns(), SOCK_STREAM, "0.0.0.0", 80);
    CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
    CHECK(world.in_host("ls " + world.run + "/leases | wc -l") == "1\n");
    CHECK_THAT(world.traces(), !Catch::Contains("8081"));
  }
  SECTION("but not when the port leads elsewhere inside") {
    const NetworkContainer next(world.run, "next", {"8080:81"});
    const UniqueFd server = serve(next.netns(), SOCK_STREAM, "0.0.0.0", 81);
    CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
  }
  SECTION("and one that publishes nothing leaves it alone") {
    const NetworkContainer next(world.run, "next");
    CHECK(next.attachment->attachment().address != address);
    CHECK(poll_until([&] { return !publishes(world, "8080"); }));
  }
}

TEST_CASE("the bridge goes even when somebody removed RUN meanwhile", "[runner][network]") {
  const TwoMachines world;
  const std::string before = world.traces();
  NetworkContainer(world.run, "one").end();
  REQUIRE(poll_until([&] { return runner::is_bridge_tidied_soon(world.run); }));
  // Again when the lingering process, which has just begun, makes a file beside it
  REQUIRE(poll_until([&] { return shell("rm -r " + world.run).status == 0; }));
  CHECK(poll_until([&] { return world.traces() == before; }));
}

TEST_CASE("a start that fails half way leaves nothing on the host", "[runner][network]") {
  const TwoMachines world;
  const std::string before = world.traces();
  {
    auto attachment = runner::BridgeAttachment::reserve(world.run, "one", {.ports = {{"0.0.0.0", 8080, 80}}});
    NetworkProcess process;
    const pid_t gone = process.pid();
    process.end();
    CHECK_THROWS_AS(attachment.connect(gone), Error);
  }
  CHECK(poll_until([&] { return world.traces() == before; }));
}

TEST_CASE("what a killed holder left is cleared by a sweep", "[runner][network]") {
  const TwoMachines world;
  const std::string before = world.traces();
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t holder = ::fork();
  REQUIRE(holder >= 0);
  if (holder == 0) {
    const NetworkContainer container(world.run, "one", {"8080:80", "127.0.0.1:8081:80"});
    sys::write_all(writer, std::to_string(container.process.pid()) + "\n");
    ::pause();
    ::_exit(0);
  }
  writer.reset();
  std::array<std::byte, 16> ready;
  REQUIRE(sys::read_some(reader, ready) > 1);
  const pid_t process = std::atoi(reinterpret_cast<const char*>(ready.data()));
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  REQUIRE(poll_until([&] { return ::kill(process, 0) < 0; }));  // as the container's, it ends a moment later
  CHECK_THAT(world.traces(), Catch::Contains("8080"));

  SECTION("by itself") {
    // The killed one's container has copies of its locks until it has ended as well
    CHECK(poll_until([&] {
      runner::sweep_networks(world.run);
      return world.traces() == before;
    }));
  }
  SECTION("that comes with the next container, which gets the ports") {
    const NetworkContainer next(world.run, "one", {"8080:81"});
    const UniqueFd server = serve(next.netns(), SOCK_STREAM, "0.0.0.0", 81);
    CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
    CHECK(world.in_host("ls " + world.run + "/leases | wc -l") == "1\n");
    CHECK_THAT(world.traces(), !Catch::Contains("8081"));
  }
  runner::sweep_networks(world.run);
}

TEST_CASE("N04: a flushed table is made again with the ports of all living containers", "[runner][network]") {
  const TwoMachines world;
  const NetworkContainer one(world.run, "one", {"8080:80"});
  const std::string rules = world.in_host("nft list ruleset");
  world.in_host("nft flush ruleset");
  CHECK_FALSE(can_connect(world.host.netns(), "127.0.0.1", 8080));
  { const NetworkContainer two(world.run, "two"); }
  const UniqueFd server = serve(one.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.host.netns(), "127.0.0.1", 8080));
  CHECK(poll_until([&] { return world.in_host("nft list ruleset") == rules; }));
}

TEST_CASE("N09: turning on forwarding is reported once", "[runner][network]") {
  const TwoMachines world;
  world.in_host("echo 0 >/proc/sys/net/ipv4/ip_forward");
  const NetworkContainer one(world.run, "one");
  const NetworkContainer two(world.run, "two");
  REQUIRE(one.got().notes.size() == 1);
  CHECK_THAT(one.got().notes[0], Catch::Contains("net.ipv4.ip_forward"));
  CHECK(two.got().notes.empty());
}
