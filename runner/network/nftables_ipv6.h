#pragma once

#include <span>
#include <string>

#include "network/address6.h"
#include "network/netlink.h"
#include "network/network_policy.h"
#include "network/nftables_ports.h"

/// lay's table of family ip6, on networks that have IPv6: containers go out under the host's address, and
/// nothing comes in but by published ports. It bears the name of the network's other tables.
namespace lay::runner {

/// Whether what is published reaches the host's own ::1. Where br_netfilter shows IPv6 packets of bridges to
/// the rules, an answer to ::1 is turned back too early, and the kernel drops it.
enum class HostLoopback6 { served, left_alone };
HostLoopback6 host_loopback6();

struct Ipv6Table {
  std::string name;
  std::string bridge;
  Subnet6 subnet;
  NetworkPolicy policy = {};
  HostLoopback6 loopback = HostLoopback6::served;
};

/// Whether the table stands with all its rules, and nobody has flushed it.
bool has_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table);
/// Replaces the table, or makes it, holding those of `ports` that are of IPv6.
void make_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table, std::span<const PublishedPort> ports);
/// Absent is success.
void delete_ipv6_table(NetlinkSocket& socket, const std::string& name);

}  // namespace lay::runner
