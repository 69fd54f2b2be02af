#pragma once

#include <optional>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/address6.h"
#include "network/names.h"
#include "network/netlink.h"

/// Links, addresses and routes: the requests of rtnetlink(7) that lay makes, and the answers it reads.
namespace lay::runner {

inline constexpr int kLoopbackIndex = 1;  // in every network namespace

struct Link {
  int index = 0;
  unsigned mtu = 0;
  bool is_up = false;
  /// The kernel's number for the network namespace where its other end is; empty when that is here, or on its
  /// way out.
  std::optional<std::int32_t> peer_namespace = {};
};

/// Empty when no link has that name.
std::optional<Link> find_link(NetlinkSocket& socket, const std::string& name);

/// Whether there is such a veth and its other end is in a network namespace that something still lives in.
/// When the last process of one has ended, the kernel takes some 20 ms to take its links away.
bool is_link_in_use(NetlinkSocket& socket, const std::string& veth);

/// The name of the link with that MAC address; empty when there is none.
std::optional<std::string> find_link_name(NetlinkSocket& socket, const MacAddress& mac);

/// Addresses and routes of one link. Default routes are not listed: they overlap everything.
struct UsedSubnet {
  Subnet subnet;
  int link_index = 0;  ///< 0 when the route has none (blackhole, several next hops)
};
std::vector<UsedSubnet> used_subnets(NetlinkSocket& socket);

/// As used_subnets, for IPv6; link-local and multicast routes are not listed.
struct UsedSubnet6 {
  Subnet6 subnet;
  int link_index = 0;
};
std::vector<UsedSubnet6> used_subnets6(NetlinkSocket& socket);

/// A subnet of 64 bits or more that is reached by the link itself, not by a router; link-local does not
/// count.
std::optional<Subnet6> on_link_subnet6(NetlinkSocket& socket, int link_index);

/// Every address of this machine.
std::vector<Ipv4> own_addresses(NetlinkSocket& socket);
std::vector<Ipv6> own_addresses6(NetlinkSocket& socket);
/// By which router the default route of that link leads; empty without one.
std::optional<Ipv4> default_gateway(NetlinkSocket& socket, int link_index);
std::optional<Ipv6> default_gateway6(NetlinkSocket& socket, int link_index);

/// MTU of the link that the default route with the lowest metric leaves by; 1500 without a default route.
unsigned uplink_mtu(NetlinkSocket& socket);

/// A bridge, down, that forwards from the first moment: no spanning tree, no forward delay. Its MAC address
/// is fixed, because it would otherwise change as ports come and go, and break neighbours' caches.
NetlinkMessage make_bridge(const std::string& name, const MacAddress& mac);
/// Of a bridge for good, whatever ports come and go: the kernel takes one that the bridge was made with for
/// its own choice, and goes back to 1500 when the last port has left (br_mtu_auto_adjust).
NetlinkMessage set_mtu(int index, unsigned mtu);

/// A veth pair in one request: the host's end enslaved and up, its peer made (down) inside `netns`, so that
/// nothing has to be moved between namespaces afterwards (which costs a grace period).
struct VethPlan {
  std::string host_name;
  std::string peer_name;
  MacAddress peer_mac{};
  Link bridge;
  int netns = -1;  ///< descriptor of the peer's network namespace
};
NetlinkMessage make_veth(const VethPlan& plan);

/// Of a port of a bridge. hairpin: it sends a frame back out of where it came in; isolated: it gets none from
/// others that are so, and they none from it.
enum class PortMode { hairpin, isolated };
NetlinkMessage set_port_mode(const std::string& port, PortMode mode);

NetlinkMessage delete_link(const std::string& name);
NetlinkMessage set_link_up(int index);
/// Adds `address` with the prefix of `subnet` and its broadcast address.
NetlinkMessage add_address(int index, Ipv4 address, const Subnet& subnet);
/// Not probed for a duplicate (RFC 4862), which takes a second.
NetlinkMessage add_address6(int index, const Ipv6& address, const Subnet6& subnet);
/// So that an answer for ::1 is let in by this link; loopback's own route comes first by its metric.
NetlinkMessage add_loopback_route6(int index);
NetlinkMessage add_default_route6(int index, const Ipv6& gateway, unsigned metric);

/// A link inside `netns` that shares the wire of `parent`, in bridge mode: those of one parent reach each
/// other.
struct MacvlanPlan {
  std::string name;
  MacAddress mac{};
  Link parent;
  int netns = -1;
};
NetlinkMessage make_macvlan(const MacvlanPlan& plan);

/// Of several the one with the lowest `metric` is used.
NetlinkMessage add_default_route(int index, Ipv4 gateway, unsigned metric = 0);

}  // namespace lay::runner
