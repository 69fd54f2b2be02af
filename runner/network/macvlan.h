#pragma once

#include <string>

#include "network/netlink_route.h"
#include "runner/network_store.h"

/// Networks whose containers are on the wire of a link of the host, beside it.
namespace lay::runner {

/// The link of the host. Throws not_found, with a hint, when there is none of that name.
Link find_parent(NetlinkSocket& socket, const std::string& name);

/// Such a network has its parent's subnets and routers, unless `wish` says otherwise. Throws what
/// find_parent() does; invalid when the parent has no subnet of a family.
void take_from_parent(NetworkDefinition& wish, Families families);

}  // namespace lay::runner
