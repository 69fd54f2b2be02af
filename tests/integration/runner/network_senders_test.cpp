#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "network/names.h"
#include "network/senders.h"
#include "network_fixture.h"

using namespace lay;
using namespace lay::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes mac_bytes(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 3)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

Bytes ip_bytes(const std::string& text) {
  const auto bytes = runner::network_bytes(runner::parse_ipv4(text).value());
  return {bytes.begin(), bytes.end()};
}

const Bytes kEverybody(6, 0xff);
const Bytes kIpv4{0x08, 0x00};
const Bytes kArp{0x08, 0x06};
const Bytes kIpv6{0x86, 0xdd};
const Bytes kMark{'l', 'a', 'y', '-', 't', 'e', 's', 't'};

/// RFC 1071: where br_netfilter is, a bridge drops IPv4 packets whose header does not add up.
void set_header_checksum(Bytes& header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < header.size(); i += 2)
    sum += static_cast<std::uint32_t>(header[i] << 8) + header[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  header[10] = static_cast<std::uint8_t>(sum >> 8);
  header[11] = static_cast<std::uint8_t>(sum);
}

/// A UDP datagram to `port` with kMark in it.
Bytes datagram(const Bytes& source, const Bytes& target, std::uint8_t port = 9) {
  Bytes header = Bytes{0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0} + source + target;
  set_header_checksum(header);
  return header + Bytes{0, port, 0, port, 0, 16, 0, 0} + kMark;
}

Bytes arp_answer(const Bytes& mac, const Bytes& address) {
  return Bytes{0, 1, 8, 0, 6, 4, 0, 2} + mac + address + kEverybody + Bytes{0, 0, 0, 0} + kMark;
}

/// fe80::/64 and the MAC address as an EUI-64.
Bytes link_local(const Bytes& mac) {
  const auto first = static_cast<std::uint8_t>(mac[0] ^ 2);
  return {0xfe, 0x80, 0, 0, 0, 0, 0, 0, first, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

/// An ICMPv6 message of `type` about `target` to all nodes, behind `between` (an extension header, or
/// nothing).
Bytes icmpv6(std::uint8_t type, const Bytes& source, const Bytes& target, const Bytes& between = {}) {
  const Bytes all_nodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const auto length = static_cast<std::uint8_t>(24 + kMark.size() + between.size());
  const std::uint8_t next = between.empty() ? 58 : 0;  // hop by hop
  return Bytes{0x60, 0, 0, 0, 0, length, next, 255} + source + all_nodes + between +
         Bytes{type, 0, 0, 0, 0, 0, 0, 0} + target + kMark;
}

sockaddr_ll link_of(const char* name) {
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(ETH_P_ALL);
  link.sll_ifindex = static_cast<int>(::if_nametoindex(name));
  return link;
}

/// A raw socket on eth0 in `netns`.
UniqueFd raw_socket(const UniqueFd& netns) {
  return inside(netns, [] {
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    const sockaddr_ll link = link_of("eth0");
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link) < 0)
      throw Error::from_errno("bind a raw socket");
    return fd;
  });
}

/// Two containers on one bridge, of which the first sends what it likes.
struct Neighbours {
  TwoMachines world;
  NetworkContainer attacker{world.run, "attacker"};
  NetworkContainer victim{world.run, "victim"};
  UniqueFd out = raw_socket(attacker.netns());
  UniqueFd in = raw_socket(victim.netns());
  Bytes own_mac = mac_bytes(attacker.got().mac_address);
  Bytes own_ip = ip_bytes(attacker.got().address);
  Bytes victim_mac = mac_bytes(victim.got().mac_address);
  Bytes gateway_ip = ip_bytes(attacker.got().gateway);
  Bytes victim_ip = ip_bytes(victim.got().address);
  Bytes own_ip6 = link_local(own_mac);
  Bytes victim_ip6 = link_local(victim_mac);

  Neighbours() {
    // The kernel tells a bridge within a second that a link has come up; until then it forwards nothing.
    const Bytes first = victim_mac + own_mac + kIpv4 + datagram(own_ip, victim_ip, 11);
    Bytes got;
    for (int tries = 0; got != first; ++tries) {
      REQUIRE(tries < 100);
      send(first);
      while (got != first && wait_readable(in, 50)) got = receive();
    }
  }

  /// Whether the victim gets the frame. A frame that is allowed goes behind it: when that has come, the one
  /// before is there or lost.
  bool arrives(const Bytes& frame) const {
    const Bytes last = victim_mac + own_mac + kIpv4 + datagram(own_ip, victim_ip, 10);
    send(frame);
    send(last);
    bool has_come = false;
    for (Bytes got = receive(); !got.empty() && got != last; got = receive())
      has_come = has_come || got == frame;
    return has_come;
  }
  void send(const Bytes& frame) const {
    REQUIRE(::send(out.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }
  Bytes receive() const {
    if (!wait_readable(in, 2000)) FAIL("the frame that is allowed did not arrive");
    Bytes frame(2000);
    frame.resize(static_cast<std::size_t>(::recv(in.get(), frame.data(), frame.size(), 0)));
    return frame;
  }
};

}  // namespace

TEST_CASE("N02: a container with CAP_NET_RAW sends under its own addresses only",
          "[runner][network][senders]") {
  const Neighbours n;
  const Bytes foreign_mac{2, 0, 0, 0, 0, 99};
  CHECK(n.arrives(n.victim_mac + n.own_mac + kIpv4 + datagram(n.own_ip, n.victim_ip)));
  CHECK(n.arrives(kEverybody + n.own_mac + kArp + arp_answer(n.own_mac, n.own_ip)));
  CHECK(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(135, n.own_ip6, n.victim_ip6)));

  // Another IPv4 source: the gateway's, a stranger's, none (a DHCP client's)
  for (const Bytes& ip : {n.gateway_ip, ip_bytes("192.0.2.1"), ip_bytes("0.0.0.0")})
    CHECK_FALSE(n.arrives(n.victim_mac + n.own_mac + kIpv4 + datagram(ip, n.victim_ip)));
  // Another MAC address
  CHECK_FALSE(n.arrives(n.victim_mac + foreign_mac + kIpv4 + datagram(n.own_ip, n.victim_ip)));
  CHECK_FALSE(n.arrives(kEverybody + foreign_mac + kIpv6 + icmpv6(135, n.own_ip6, n.victim_ip6)));
  // ARP that speaks for the gateway, or has others believe in another MAC address
  CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kArp + arp_answer(n.own_mac, n.gateway_ip)));
  CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kArp + arp_answer(foreign_mac, n.own_ip)));
  // The same in IPv6: another link-local source, and an answer for another address
  CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(135, n.victim_ip6, n.own_ip6)));
  CHECK(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(136, n.own_ip6, n.own_ip6)));
  CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(136, n.own_ip6, n.victim_ip6)));
  // Wrapped into a VLAN tag, or another protocol
  CHECK_FALSE(
      n.arrives(n.victim_mac + n.own_mac + Bytes{0x81, 0, 0, 1} + kIpv4 + datagram(n.own_ip, n.victim_ip)));
  CHECK_FALSE(n.arrives(n.victim_mac + n.own_mac + Bytes{0x88, 0xb5} + kMark));
}

TEST_CASE("N02: rogue router advertisements and redirects do not reach the neighbours",
          "[runner][network][senders]") {
  const Neighbours n;
  const Bytes hop_by_hop{58, 0, 1, 4, 0, 0, 0, 0};
  for (const std::uint8_t type : {std::uint8_t{134}, std::uint8_t{137}}) {
    CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(type, n.own_ip6, n.own_ip6)));
    CHECK_FALSE(n.arrives(kEverybody + n.own_mac + kIpv6 + icmpv6(type, n.own_ip6, n.own_ip6, hop_by_hop)));
  }
}

TEST_CASE("N02: a host that is not a container's is not judged", "[runner][network][senders]") {
  const TwoMachines world;
  const NetworkContainer one(world.run, "one", {"8080:80"});
  const NetworkContainer other(world.folder.path() + "/other", "other");
  const UniqueFd server = serve(one.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(world.outside.netns(), "198.51.100.1", 8080));
  CHECK(can_connect(other.netns(), "198.51.100.1", 8080));
}

TEST_CASE("N02: --mac-address is the address under which a container may send",
          "[runner][network][senders]") {
  const TwoMachines world;
  NetworkProcess process;
  auto attachment = runner::BridgeAttachment::reserve(world.run, "one", {.mac_address = "02:42:ac:11:00:02"});
  attachment.connect(process.pid());
  const NetworkContainer other(world.run, "other");
  const UniqueFd server = serve(process.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(other.netns(), attachment.attachment().address, 80));
  world.in_host("nft flush ruleset");
  { const NetworkContainer next(world.run, "next"); }
  CHECK(can_connect(other.netns(), attachment.attachment().address, 80));
  process.end();
}

TEST_CASE("a table of senders that is removed while a container starts is made again before it sends",
          "[runner][network][senders]") {
  const TwoMachines world;
  const NetworkContainer other(world.run, "other");
  const NetworkProcess process;
  auto attachment = runner::BridgeAttachment::reserve(world.run, "one", {});
  world.in_host("nft delete table bridge " + runner::network_names(world.run).table);
  attachment.connect(process.pid());
  runner::NetlinkSocket netfilter = runner::NetlinkSocket::open(NETLINK_NETFILTER);
  CHECK(runner::has_sender_table(netfilter, runner::network_names(world.run).table, runner::Families::ipv4));
  const UniqueFd server = serve(process.netns(), SOCK_STREAM, "0.0.0.0", 80);
  CHECK(can_connect(other.netns(), attachment.attachment().address, 80));
}

TEST_CASE("what ended containers might send under goes, though others live on",
          "[runner][network][senders]") {
  const TwoMachines world;
  const NetworkContainer stays(world.run, "stays");
  const auto tables = [&] { return world.in_host("nft list ruleset"); };
  const std::string before = tables();
  NetworkContainer goes(world.run, "goes");
  const std::string address = goes.got().address;
  CHECK_THAT(tables(), Catch::Contains(address));
  goes.end();
  CHECK(poll_until([&] { return tables() == before; }));
}
