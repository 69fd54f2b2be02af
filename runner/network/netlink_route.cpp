#include "network/netlink_route.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace lay::runner {

namespace {

constexpr std::uint16_t kCreate = NLM_F_CREATE | NLM_F_EXCL;
constexpr unsigned kDefaultMtu = 1500;

std::optional<std::uint32_t> attribute_u32(const nlmsghdr& message, std::size_t fixed_size,
                                           std::uint16_t type) {
  const auto bytes = find_attribute(message, fixed_size, type);
  std::uint32_t value = 0;
  if (!bytes || bytes->size() < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

std::optional<Ipv4> attribute_ipv4(const nlmsghdr& message, std::size_t fixed_size, std::uint16_t type) {
  const auto bytes = find_attribute(message, fixed_size, type);
  if (!bytes || bytes->size() < 4) return std::nullopt;
  Ipv4 address;
  for (std::size_t i = 0; i < 4; ++i) address.value = (address.value << 8) | (*bytes)[i];
  return address;
}

/// Numbers of namespaces are not negative; -1 stands for one that is being taken apart.
std::optional<std::int32_t> attribute_namespace(const nlmsghdr& message, std::size_t fixed_size,
                                                std::uint16_t type) {
  const auto number = attribute_u32(message, fixed_size, type);
  if (!number || static_cast<std::int32_t>(*number) < 0) return std::nullopt;
  return static_cast<std::int32_t>(*number);
}

Link read_link(const nlmsghdr& message) {
  const auto& info = fixed_part<ifinfomsg>(message);
  return {.index = info.ifi_index,
          .mtu = attribute_u32(message, sizeof info, IFLA_MTU).value_or(kDefaultMtu),
          .is_up = (info.ifi_flags & IFF_UP) != 0,
          .peer_namespace = attribute_namespace(message, sizeof info, IFLA_LINK_NETNSID)};
}

Subnet subnet_of(Ipv4 address, unsigned prefix_length) {
  Subnet subnet{address, prefix_length};
  subnet.address.value &= subnet.mask();
  return subnet;
}

/// Calls `take` for each route of every table.
void for_each_route(NetlinkSocket& socket, const std::function<void(const nlmsghdr&, const rtmsg&)>& take,
                    std::uint8_t family = AF_INET) {
  NetlinkMessage question("list the routes", RTM_GETROUTE, NLM_F_DUMP);
  question.fixed<rtmsg>().rtm_family = family;
  socket.query(question, [&](const nlmsghdr& message) { take(message, fixed_part<rtmsg>(message)); });
}

void for_each_address(NetlinkSocket& socket, std::uint8_t family,
                      const std::function<void(const nlmsghdr&, const ifaddrmsg&)>& take) {
  NetlinkMessage question("list the addresses", RTM_GETADDR, NLM_F_DUMP);
  question.fixed<ifaddrmsg>().ifa_family = family;
  socket.query(question, [&](const nlmsghdr& message) { take(message, fixed_part<ifaddrmsg>(message)); });
}

std::optional<Ipv6> attribute_ipv6(const nlmsghdr& message, std::size_t fixed_size, std::uint16_t type) {
  const auto bytes = find_attribute(message, fixed_size, type);
  Ipv6 address;
  if (!bytes || bytes->size() < address.bytes.size()) return std::nullopt;
  std::memcpy(address.bytes.data(), bytes->data(), address.bytes.size());
  return address;
}

void put_ipv4(NetlinkMessage& message, std::uint16_t type, Ipv4 address) {
  message.put(type, network_bytes(address));
}

}  // namespace

std::optional<std::string> find_link_name(NetlinkSocket& socket, const MacAddress& mac) {
  NetlinkMessage question("list the links", RTM_GETLINK, NLM_F_DUMP);
  question.fixed<ifinfomsg>();
  std::optional<std::string> found;
  socket.query(question, [&](const nlmsghdr& message) {
    const auto address = find_attribute(message, sizeof(ifinfomsg), IFLA_ADDRESS);
    const auto name = find_attribute(message, sizeof(ifinfomsg), IFLA_IFNAME);
    if (!address || !name || !std::equal(address->begin(), address->end(), mac.begin(), mac.end())) return;
    found.emplace(reinterpret_cast<const char*>(name->data()));  // ends with NUL
  });
  return found;
}

std::optional<Link> find_link(NetlinkSocket& socket, const std::string& name) {
  NetlinkMessage question(fmt::format("look up link '{}'", name), RTM_GETLINK, 0);
  question.fixed<ifinfomsg>();
  question.put_text(IFLA_IFNAME, name);
  std::optional<Link> link;
  socket.query(question, [&](const nlmsghdr& message) { link = read_link(message); });
  return link;
}

bool is_link_in_use(NetlinkSocket& socket, const std::string& veth) {
  const std::optional<Link> link = veth.empty() ? std::nullopt : find_link(socket, veth);
  if (!link || !link->peer_namespace) return false;
  NetlinkMessage question("look into a network namespace", RTM_GETLINK, NLM_F_ACK);
  question.fixed<ifinfomsg>().ifi_index = kLoopbackIndex;
  question.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(*link->peer_namespace));
  const auto failure = socket.try_run({&question, 1});
  return !failure || failure->error_number != EINVAL;  // the kernel gives no reference to a dead one
}

std::vector<UsedSubnet> used_subnets(NetlinkSocket& socket) {
  std::vector<UsedSubnet> used;
  for_each_address(socket, AF_INET, [&](const nlmsghdr& message, const ifaddrmsg& info) {
    // With a point-to-point link IFA_ADDRESS is the other end: as little free as our own
    for (const std::uint16_t type : {IFA_LOCAL, IFA_ADDRESS})
      if (const auto address = attribute_ipv4(message, sizeof info, type))
        used.push_back({subnet_of(*address, info.ifa_prefixlen), static_cast<int>(info.ifa_index)});
  });
  for_each_route(socket, [&](const nlmsghdr& message, const rtmsg& route) {
    const auto address = attribute_ipv4(message, sizeof route, RTA_DST);
    if (!address || route.rtm_dst_len == 0) return;
    const auto link = attribute_u32(message, sizeof route, RTA_OIF);
    used.push_back({subnet_of(*address, route.rtm_dst_len), static_cast<int>(link.value_or(0))});
  });
  return used;
}

std::vector<UsedSubnet6> used_subnets6(NetlinkSocket& socket) {
  const Subnet6 link_local = parse_subnet6("fe80::/10").value_or(Subnet6{});
  std::vector<UsedSubnet6> used;
  const auto take = [&](const nlmsghdr& message, const rtmsg& route) {
    const auto address = attribute_ipv6(message, sizeof route, RTA_DST);
    if (!address || route.rtm_dst_len == 0 || route.rtm_type == RTN_MULTICAST) return;
    if (link_local.contains(*address)) return;
    const auto link = attribute_u32(message, sizeof route, RTA_OIF);
    used.push_back({{*address, route.rtm_dst_len}, static_cast<int>(link.value_or(0))});
  };
  for_each_route(socket, take, AF_INET6);
  return used;
}

std::optional<Subnet6> on_link_subnet6(NetlinkSocket& socket, int link_index) {
  constexpr unsigned kWidest = 8, kNarrowest = 64;
  const Subnet6 link_local = parse_subnet6("fe80::/10").value_or(Subnet6{});
  std::optional<Subnet6> found;
  const auto take = [&](const nlmsghdr& message, const rtmsg& route) {
    const auto address = attribute_ipv6(message, sizeof route, RTA_DST);
    const auto link = attribute_u32(message, sizeof route, RTA_OIF);
    if (found || !address || link != static_cast<std::uint32_t>(link_index) ||
        attribute_ipv6(message, sizeof route, RTA_GATEWAY) || route.rtm_type != RTN_UNICAST ||
        route.rtm_dst_len < kWidest || route.rtm_dst_len > kNarrowest || link_local.contains(*address))
      return;
    found = {*address, route.rtm_dst_len};
  };
  for_each_route(socket, take, AF_INET6);
  return found;
}

std::vector<Ipv4> own_addresses(NetlinkSocket& socket) {
  std::vector<Ipv4> own;
  for_each_address(socket, AF_INET, [&](const nlmsghdr& message, const ifaddrmsg& info) {
    if (const auto address = attribute_ipv4(message, sizeof info, IFA_LOCAL)) own.push_back(*address);
  });
  return own;
}

std::vector<Ipv6> own_addresses6(NetlinkSocket& socket) {
  std::vector<Ipv6> own;
  for_each_address(socket, AF_INET6, [&](const nlmsghdr& message, const ifaddrmsg& info) {
    // IFA_LOCAL is there only where IFA_ADDRESS is the other end
    auto address = attribute_ipv6(message, sizeof info, IFA_LOCAL);
    if (!address) address = attribute_ipv6(message, sizeof info, IFA_ADDRESS);
    if (address) own.push_back(*address);
  });
  return own;
}

namespace {

/// By what of `get` the first default route of that link leads.
template <class Address, class Get>
std::optional<Address> gateway_of(NetlinkSocket& socket, std::uint8_t family, int link_index, Get get) {
  std::optional<Address> gateway;
  const auto take = [&](const nlmsghdr& message, const rtmsg& route) {
    const auto link = attribute_u32(message, sizeof route, RTA_OIF);
    if (route.rtm_dst_len == 0 && link == static_cast<std::uint32_t>(link_index) && !gateway)
      gateway = get(message, sizeof route, RTA_GATEWAY);
  };
  for_each_route(socket, take, family);
  return gateway;
}

}  // namespace

std::optional<Ipv4> default_gateway(NetlinkSocket& socket, int link_index) {
  return gateway_of<Ipv4>(socket, AF_INET, link_index, attribute_ipv4);
}

std::optional<Ipv6> default_gateway6(NetlinkSocket& socket, int link_index) {
  return gateway_of<Ipv6>(socket, AF_INET6, link_index, attribute_ipv6);
}

unsigned uplink_mtu(NetlinkSocket& socket) {
  std::optional<std::uint32_t> uplink;
  std::uint32_t best_metric = 0;
  for_each_route(socket, [&](const nlmsghdr& message, const rtmsg& route) {
    if (route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST || route.rtm_table != RT_TABLE_MAIN) return;
    const std::uint32_t metric = attribute_u32(message, sizeof route, RTA_PRIORITY).value_or(0);
    const auto link = attribute_u32(message, sizeof route, RTA_OIF);
    if (!link || (uplink && metric >= best_metric)) return;
    uplink = link;
    best_metric = metric;
  });
  if (!uplink) return kDefaultMtu;
  NetlinkMessage question("look up the uplink", RTM_GETLINK, 0);
  question.fixed<ifinfomsg>().ifi_index = static_cast<int>(*uplink);
  unsigned mtu = kDefaultMtu;
  socket.query(question, [&](const nlmsghdr& message) { mtu = read_link(message).mtu; });
  return mtu;
}

NetlinkMessage make_bridge(const std::string& name, const MacAddress& mac) {
  NetlinkMessage message(fmt::format("create bridge '{}'", name), RTM_NEWLINK, kCreate);
  message.fixed<ifinfomsg>();
  message.put_text(IFLA_IFNAME, name);
  message.put(IFLA_ADDRESS, mac);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "bridge");
    message.nest(IFLA_INFO_DATA, [&] {
      message.put_u32(IFLA_BR_STP_STATE, 0);
      message.put_u32(IFLA_BR_FORWARD_DELAY, 0);
    });
  });
  return message;
}

NetlinkMessage make_veth(const VethPlan& plan) {
  NetlinkMessage message(fmt::format("create veth '{}'", plan.host_name), RTM_NEWLINK, kCreate);
  auto& host = message.fixed<ifinfomsg>();
  host.ifi_flags = IFF_UP;
  host.ifi_change = IFF_UP;
  message.put_text(IFLA_IFNAME, plan.host_name);
  message.put_u32(IFLA_MTU, plan.bridge.mtu);
  message.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(plan.bridge.index));
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "veth");
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        message
            .fixed<ifinfomsg>();  // not up yet: the peer is set up before it knows its other end (ENOTCONN)
        message.put_text(IFLA_IFNAME, plan.peer_name);
        message.put_u32(IFLA_MTU, plan.bridge.mtu);
        message.put(IFLA_ADDRESS, plan.peer_mac);
        message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(plan.netns));
      });
    });
  });
  return message;
}

NetlinkMessage set_port_mode(const std::string& port, PortMode mode) {
  NetlinkMessage message(fmt::format("set the bridge's mode of '{}'", port), RTM_NEWLINK, 0);
  message.fixed<ifinfomsg>();
  message.put_text(IFLA_IFNAME, port);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_SLAVE_KIND, "bridge");
    message.nest(IFLA_INFO_SLAVE_DATA, [&] {
      message.put_u8(mode == PortMode::hairpin ? IFLA_BRPORT_MODE : IFLA_BRPORT_ISOLATED, 1);
    });
  });
  return message;
}

NetlinkMessage delete_link(const std::string& name) {
  NetlinkMessage message(fmt::format("remove link '{}'", name), RTM_DELLINK, 0);
  message.fixed<ifinfomsg>();
  message.put_text(IFLA_IFNAME, name);
  return message;
}

NetlinkMessage set_mtu(int index, unsigned mtu) {
  NetlinkMessage message(fmt::format("set the MTU of link {} to {}", index, mtu), RTM_NEWLINK, 0);
  message.fixed<ifinfomsg>().ifi_index = index;
  message.put_u32(IFLA_MTU, mtu);
  return message;
}

NetlinkMessage set_link_up(int index) {
  NetlinkMessage message(fmt::format("set link {} up", index), RTM_NEWLINK, 0);
  auto& info = message.fixed<ifinfomsg>();
  info.ifi_index = index;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return message;
}

NetlinkMessage add_address(int index, Ipv4 address, const Subnet& subnet) {
  NetlinkMessage message(fmt::format("add address {} to link {}", to_string(address), index), RTM_NEWADDR,
                         kCreate);
  auto& info = message.fixed<ifaddrmsg>();
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(subnet.prefix_length);
  info.ifa_index = static_cast<std::uint32_t>(index);
  put_ipv4(message, IFA_LOCAL, address);
  put_ipv4(message, IFA_ADDRESS, address);
  put_ipv4(message, IFA_BROADCAST, Ipv4{subnet.address.value | ~subnet.mask()});
  return message;
}

NetlinkMessage add_default_route(int index, Ipv4 gateway, unsigned metric) {
  NetlinkMessage message(fmt::format("add default route by {}", to_string(gateway)), RTM_NEWROUTE, kCreate);
  auto& info = message.fixed<rtmsg>();
  info.rtm_family = AF_INET;
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  put_ipv4(message, RTA_GATEWAY, gateway);
  message.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  if (metric != 0) message.put_u32(RTA_PRIORITY, metric);
  return message;
}

NetlinkMessage add_address6(int index, const Ipv6& address, const Subnet6& subnet) {
  NetlinkMessage message(fmt::format("add address {} to link {}", to_string(address), index), RTM_NEWADDR,
                         kCreate);
  auto& info = message.fixed<ifaddrmsg>();
  info.ifa_family = AF_INET6;
  info.ifa_prefixlen = static_cast<std::uint8_t>(subnet.prefix_length);
  info.ifa_index = static_cast<std::uint32_t>(index);
  info.ifa_flags = IFA_F_NODAD;
  message.put(IFA_LOCAL, address.bytes);
  message.put(IFA_ADDRESS, address.bytes);
  return message;
}

NetlinkMessage add_loopback_route6(int index) {
  constexpr std::uint32_t kMetric = 0x10000;  // and the link's number: no two of the same may be
  constexpr std::array<std::uint8_t, 16> kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  NetlinkMessage message(fmt::format("add a route for ::1 by link {}", index), RTM_NEWROUTE, kCreate);
  auto& info = message.fixed<rtmsg>();
  info.rtm_family = AF_INET6;
  info.rtm_dst_len = 128;
  info.rtm_table = RT_TABLE_LOCAL;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_LOCAL;
  message.put(RTA_DST, kLoopback);
  message.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  message.put_u32(RTA_PRIORITY, kMetric + static_cast<std::uint32_t>(index));
  return message;
}

NetlinkMessage add_default_route6(int index, const Ipv6& gateway, unsigned metric) {
  NetlinkMessage message(fmt::format("add default route by {}", to_string(gateway)), RTM_NEWROUTE, kCreate);
  auto& info = message.fixed<rtmsg>();
  info.rtm_family = AF_INET6;
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  message.put(RTA_GATEWAY, gateway.bytes);
  message.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  message.put_u32(RTA_PRIORITY, metric);
  return message;
}

NetlinkMessage make_macvlan(const MacvlanPlan& plan) {
  NetlinkMessage message(fmt::format("create macvlan '{}'", plan.name), RTM_NEWLINK, kCreate);
  message.fixed<ifinfomsg>();
  message.put_text(IFLA_IFNAME, plan.name);
  message.put_u32(IFLA_LINK, static_cast<std::uint32_t>(plan.parent.index));
  message.put_u32(IFLA_MTU, plan.parent.mtu);
  message.put(IFLA_ADDRESS, plan.mac);
  message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(plan.netns));
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, "macvlan");
    message.nest(IFLA_INFO_DATA, [&] { message.put_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); });
  });
  return message;
}

}  // namespace lay::runner
