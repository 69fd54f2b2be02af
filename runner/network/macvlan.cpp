#include "network/macvlan.h"

#include "base/error.h"
#include "base/text.h"
#include "network/address.h"
#include "network/address6.h"

namespace lay::runner {

namespace {

/// One that leaves room for containers.
std::optional<Subnet> subnet_of(NetlinkSocket& socket, const Link& parent) {
  constexpr unsigned kNarrowest = 29;
  for (const UsedSubnet& entry : used_subnets(socket))
    if (entry.link_index == parent.index && entry.subnet.prefix_length <= kNarrowest) return entry.subnet;
  return std::nullopt;
}

Error no_subnet(const std::string& parent, const char* family) {
  return Error::make(Errc::invalid, "the parent link '{}' has no {} subnet", parent, family)
      .with_hint("name one with --subnet");
}

}  // namespace

Link find_parent(NetlinkSocket& socket, const std::string& name) {
  const std::optional<Link> link = find_link(socket, name);
  if (!link)
    throw Error::make(Errc::not_found, "the parent link '{}' is not there", printable(name))
        .with_hint("`ip link` lists this machine's");
  return *link;
}

void take_from_parent(NetworkDefinition& wish, Families families) {
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  const Link parent = find_parent(socket, wish.parent);
  if (wish.subnet.empty()) {
    const std::optional<Subnet> subnet = subnet_of(socket, parent);
    if (!subnet) throw no_subnet(wish.parent, "IPv4");
    wish.subnet = to_string(*subnet);
    const std::optional<Ipv4> gateway = default_gateway(socket, parent.index);
    if (wish.wished_gateway.empty() && gateway) wish.wished_gateway = to_string(*gateway);
  }
  if (families == Families::both && wish.subnet6.empty()) {
    const std::optional<Subnet6> subnet = on_link_subnet6(socket, parent.index);
    if (!subnet) throw no_subnet(wish.parent, "IPv6");
    wish.subnet6 = to_string(*subnet);
    const std::optional<Ipv6> gateway = default_gateway6(socket, parent.index);
    if (wish.wished_gateway6.empty() && gateway) wish.wished_gateway6 = to_string(*gateway);
  }
}

}  // namespace lay::runner
