#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "network/address.h"
#include "network/address6.h"
#include "network/names.h"
#include "network/netlink.h"

/// The container's end: what is set up within its network namespace.
namespace lay::runner {

/// An IPv6 address with what belongs to it.
struct InnerAddress6 {
  Ipv6 address;
  Subnet6 subnet;
  Ipv6 gateway;  ///< where there is one of IPv4
};

struct InnerLink {
  std::optional<unsigned> number;  ///< of "eth<number>"; empty: the lowest that is free
  Ipv4 address;
  Subnet subnet;
  std::optional<InnerAddress6> address6 = {};
  std::optional<Ipv4> gateway = {};  ///< empty: no way out, neither by IPv6
  /// The requests that make a link of that name in the namespace, for `host`.
  std::function<std::vector<NetlinkMessage>(const std::string& name)> make;
};

/// Makes a link by a socket of the host's namespace and sets it up. Moves the calling thread into the
/// namespace for good.
void set_up_inside(NetlinkSocket& host, const UniqueFd& netns, const InnerLink& plan);

/// Removes the link with that MAC address from the namespace; one that is gone already is none of its
/// worries.
void remove_inside(const UniqueFd& netns, const MacAddress& mac);

}  // namespace lay::runner
