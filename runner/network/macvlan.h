#pragma once

#include <string>

#include "network/address.h"
#include "network/netlink_route.h"

/// Networks whose containers are on the wire of a link of the host, beside it.
namespace lay::runner {

/// The link of the host. Throws not_found, with a hint, when there is none of that name.
Link find_parent(NetlinkSocket& socket, const std::string& name);

/// Whether another machine on the wire of `parent` has `address`: asked by ARP (RFC 5227) twice, 0.4 s in
/// all where nobody answers. Throws when the link is down.
bool is_in_use(const Link& parent, const std::string& parent_name, Ipv4 address);

}  // namespace lay::runner
