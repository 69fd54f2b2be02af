#pragma once

#include <string>

#include "network/address6.h"
#include "network/netlink.h"
#include "runner/network_store.h"

/// lay's table of family ip6, on networks that have IPv6: containers go out under the host's address, and
/// nothing comes in that they did not ask for. It bears the name of the network's other tables.
namespace lay::runner {

struct Ipv6Table {
  std::string name;
  std::string bridge;
  Subnet6 subnet;
  Reach reach = Reach::everywhere;
};

/// Whether the table stands with all its rules, and nobody has flushed it.
bool has_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table);
/// Replaces the table, or makes it.
void make_ipv6_table(NetlinkSocket& socket, const Ipv6Table& table);
/// Absent is success.
void delete_ipv6_table(NetlinkSocket& socket, const std::string& name);

}  // namespace lay::runner
