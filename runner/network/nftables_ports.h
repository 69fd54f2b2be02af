#pragma once

#include <span>
#include <string>
#include <vector>

#include "network/address6.h"
#include "network/netlink.h"
#include "network/nftables_rules.h"
#include "runner/network.h"

/// The maps of published ports in the tables of both families. Each part of a key or value fills whole
/// registers of four bytes.
namespace lay::runner {

/// One element of the maps: a host port and the container that it leads to. The host's address decides the
/// family, and so which of the container's addresses counts.
struct PublishedPort {
  PortMapping port;
  Ipv4 address;
  Ipv6 address6 = {};
};

/// Requests that make both maps of a table; `family` is NFPROTO_IPV4 or NFPROTO_IPV6.
std::vector<NetlinkMessage> map_messages(const std::string& table, std::uint16_t family);

/// Those of one family.
std::vector<PublishedPort> ports_of(std::span<const PublishedPort> ports, std::uint16_t family);

enum class ElementChange { add, remove };
/// One request for each port, in order.
std::vector<NetlinkMessage> element_messages(const std::string& table, std::span<const PublishedPort> ports,
                                             ElementChange change);

}  // namespace lay::runner
