#pragma once

#include <string>

#include "network/address.h"
#include "network/address6.h"
#include "network/netlink_route.h"

/// Whether another machine on the wire of a link has an address. Each asks twice, which takes 0.4 s where
/// nobody answers, and throws when the link is down. Addresses of this machine's own are not found so.
namespace lay::runner {

/// By ARP, RFC 5227.
bool is_in_use(const Link& parent, const std::string& parent_name, Ipv4 address);

/// By a neighbor solicitation as of duplicate address detection, RFC 4862 section 5.4.
bool is_in_use(const Link& parent, const std::string& parent_name, const Ipv6& address);

}  // namespace lay::runner
