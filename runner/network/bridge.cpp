#include "network/bridge.h"

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "network/conntrack.h"
#include "network/host_sysctl.h"
#include "network/nftables.h"
#include "network/nftables_ipv6.h"
#include "network/senders.h"

namespace lay::runner {

namespace {

/// Tries to agree on a subnet with another RUN that makes its bridge in the same moment.
constexpr int kCreateTries = 8;

/// For a bridge whose subnet lay chooses: what named networks are to have.
std::vector<Subnet> promised_subnets(const BridgeWish& wish) {
  std::vector<Subnet> subnets;
  if (wish.subnet || wish.others == nullptr) return subnets;
  for (const NetworkDefinition& network : wish.others->list())
    if (const auto subnet = parse_subnet(network.subnet)) subnets.push_back(*subnet);
  return subnets;
}

std::vector<Subnet> taken_subnets(NetlinkSocket& socket, const BridgeWish& wish) {
  std::vector<Subnet> subnets = promised_subnets(wish);
  for (const UsedSubnet& entry : used_subnets(socket)) subnets.push_back(entry.subnet);
  return subnets;
}

/// The subnet chosen last time, as long as it is still free, or another.
Subnet plan_subnet(const BridgeWish& wish, const std::optional<Subnet>& last,
                   const std::vector<Subnet>& used) {
  const std::optional<Subnet>& first = wish.subnet ? wish.subnet : last;
  const auto overlaps_first = [&](const Subnet& other) { return first->overlaps(other); };
  if (first && std::none_of(used.begin(), used.end(), overlaps_first)) return *first;
  if (wish.subnet)
    throw Error::make(Errc::busy, "subnet {} of the network overlaps a route of this machine",
                      to_string(*wish.subnet))
        .with_hint("`ip route show table all` shows which; make the network again with another --subnet");
  const std::optional<Subnet> chosen = choose_subnet(used);
  if (!chosen)
    throw Error::make(Errc::unsupported, "no private subnet is free for the bridge")
        .with_hint(
            "every candidate in 10/8 and 192.168/16 overlaps a route of this machine "
            "(`ip route show table all`) or a network ('lay network ls'); use --network host");
  return *chosen;
}

void remove_link(NetlinkSocket& socket, const std::string& name) {
  const NetlinkMessage request = delete_link(name);
  const std::optional<NetlinkFailure> failure = socket.try_run({&request, 1});
  if (failure && failure->error_number != ENODEV) throw failure->error(request.what());
}

/// It is down still.
Link make_bridge_link(NetlinkSocket& socket, const std::string& name, const Subnet& subnet,
                      const BridgeWish& wish) {
  const Ipv4 gateway = wish.gateway.value_or(subnet.gateway());
  const NetlinkMessage create = make_bridge(name, mac_address(gateway));
  socket.run({&create, 1});
  std::optional<Link> link = find_link(socket, name);
  if (!link) throw Error::make(Errc::io, "bridge '{}' vanished while it was set up", name);
  link->mtu = wish.mtu != 0 ? wish.mtu : uplink_mtu(socket);
  // The host reaches published ports by 127.0.0.1; the table's guard chain keeps
  // containers off the host's loopback
  write_setting("ipv4/conf/" + name + "/route_localnet", "1");
  std::vector<NetlinkMessage> setup{set_mtu(link->index, link->mtu),
                                    add_address(link->index, gateway, subnet)};
  const std::string settings6 = "ipv6/conf/" + name;
  if (wish.subnet6) {
    write_setting(settings6 + "/accept_ra", "0");  // of a container
    write_setting(settings6 + "/accept_dad", "0");
    write_setting(settings6 + "/disable_ipv6", "0");
    setup.push_back(
        add_address6(link->index, wish.gateway6.value_or(wish.subnet6->gateway()), *wish.subnet6));
  } else {
    // No link-local address, no router advertisement from a container is believed
    try_write_setting(settings6 + "/disable_ipv6", "1");
  }
  socket.run(setup);
  return *link;
}

void check_free6(NetlinkSocket& socket, const Subnet6& subnet) {
  for (const UsedSubnet6& other : used_subnets6(socket))
    if (other.subnet.overlaps(subnet))
      throw Error::make(Errc::busy, "subnet {} of the network overlaps a route of this machine, {}",
                        to_string(subnet), to_string(other.subnet))
          .with_hint("`ip -6 route` shows them; make the network again with another --subnet");
}

/// Whether another link got an overlapping subnet first. Of two that chose in the same moment the one with
/// the higher index yields. A bridge and a named network that are made in the same moment may both yield and
/// choose anew, but never both stay: NetworkStore::create() looks at the addresses after it has written the
/// network down, as this looks at the networks after the link has its address.
bool must_yield(NetlinkSocket& socket, const BridgeWish& wish, const Link& link, const Subnet& subnet) {
  const auto is_in_the_way = [&](const Subnet& other) { return other.overlaps(subnet); };
  return std::ranges::any_of(promised_subnets(wish), is_in_the_way) ||
         std::ranges::any_of(used_subnets(socket), [&](const UsedSubnet& other) {
           return other.link_index < link.index && is_in_the_way(other.subnet);
         });
}

Bridge create_bridge(NetlinkSocket& socket, const std::string& name, const LeaseBook& leases,
                     const std::optional<Subnet>& last, const BridgeWish& wish) {
  std::optional<Subnet> preferred = last;
  if (wish.subnet6) check_free6(socket, *wish.subnet6);
  for (int i = 0; i < kCreateTries; ++i) {
    const Subnet subnet = plan_subnet(wish, preferred, taken_subnets(socket, wish));
    const Link link = make_bridge_link(socket, name, subnet, wish);
    if (must_yield(socket, wish, link, subnet)) {
      remove_link(socket, name);
      preferred.reset();
      continue;
    }
    try {
      if (subnet != last) leases.save_subnet(subnet);
    } catch (const Error&) {
      remove_link(socket, name);
      throw;
    }
    const NetlinkMessage up = set_link_up(link.index);  // last: who finds it up may rely on the rest
    socket.run({&up, 1});
    return {.link = link, .subnet = subnet, .is_new = true};
  }
  throw Error::make(Errc::busy, "bridge '{}': no subnet could be agreed on in {} tries", name, kCreateTries);
}

void add_ports(std::vector<PublishedPort>& ports, const LeaseRecord& record, Ipv4 address) {
  const Ipv6 address6 = parse_ipv6(record.address6).value_or(Ipv6{});
  for (const PortMapping& port : record.ports) ports.push_back({port, address, address6});
}

std::vector<PublishedPort> ports_of_holders(const LeaseBook& leases) {
  std::vector<PublishedPort> ports;
  for (const auto& [address, record] : leases.held()) add_ports(ports, record, address);
  return ports;
}

using LeaseRecords = std::vector<std::pair<Ipv4, LeaseRecord>>;

/// What containers have beside their addresses: NAT entries, and links that still exist.
void take_away(const NetworkNames& names, const LeaseRecords& records) {
  std::vector<PublishedPort> ports;
  for (const auto& [address, record] : records) add_ports(ports, record, address);
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  withdraw_ports(netfilter, names.table, ports);
  NetlinkSocket route = NetlinkSocket::open(NETLINK_ROUTE);
  for (const auto& [address, record] : records) {
    if (has_udp(record.ports)) {
      forget_flows_to(netfilter, address);
      if (const auto address6 = parse_ipv6(record.address6)) forget_flows_to(netfilter, *address6);
    }
    // Usually its namespace takes the link along; a container that outlived its holder still has it
    if (is_link_in_use(route, record.veth)) remove_link(route, record.veth);
  }
}

/// Turns IPv4 forwarding on when it is off, and says so: it makes the whole machine a router.
std::vector<std::string> enable_forwarding() {
  if (read_setting("ipv4/ip_forward") != "0") return {};
  try {
    write_setting("ipv4/ip_forward", "1");
  } catch (const Error& error) {
    return {fmt::format("containers reach this machine only: {}", error.message())};
  }
  return {
      "turned on net.ipv4.ip_forward, which containers need to reach other machines; it stays on until "
      "reboot"};
}

/// The host's own ::1 reaches published ports too: answers come by the bridge.
void let_loopback_in(NetlinkSocket& route, const Link& bridge) {
  const NetlinkMessage request = add_loopback_route6(bridge.index);
  const std::optional<NetlinkFailure> failure = route.try_run({&request, 1});
  if (failure && failure->error_number != EEXIST) throw failure->error(request.what());
}

/// As enable_forwarding, for IPv6. A router ignores what other routers announce, unless accept_ra is 2: links
/// by which this machine has its own routes from announcements get that.
std::vector<std::string> enable_forwarding6() {
  if (read_setting("ipv6/conf/all/forwarding") != "0") return {};
  try {
    const UniqueFd folder = sys::open_dir(sys::cwd(), "/proc/sys/net/ipv6/conf");
    for (const std::string& link : list_names(folder))
      if (link != "all" && read_setting("ipv6/conf/" + link + "/accept_ra") == "1")
        try_write_setting("ipv6/conf/" + link + "/accept_ra", "2");
    write_setting("ipv6/conf/all/forwarding", "1");
  } catch (const Error& error) {
    return {fmt::format("containers reach this machine only by IPv6: {}", error.message())};
  }
  return {
      "turned on net.ipv6.conf.all.forwarding, which containers need to reach other machines by IPv6; it "
      "stays "
      "on until reboot"};
}

void ensure_ipv6(NetlinkSocket& route, NetlinkSocket& netfilter, const NetworkNames& names,
                 const LeaseBook& leases, const BridgeWish& wish, Bridge& bridge) {
  const Ipv6Table table{names.table, names.bridge, *wish.subnet6, wish.policy, host_loopback6()};
  if (bridge.is_new || !has_ipv6_table(netfilter, table)) {
    if (wish.policy.reach == Reach::everywhere) let_loopback_in(route, bridge.link);
    make_ipv6_table(netfilter, table, ports_of_holders(leases));
  }
  if (wish.policy.reach != Reach::everywhere) return;
  for (std::string& note : enable_forwarding6()) bridge.notes.push_back(std::move(note));
}

/// Whoever made it was killed before all was in place. One that is down beside living containers is
/// somebody's wish.
bool is_half_made(const Link& link, const LeaseBook& leases) {
  return !link.is_up && !leases.any_held();
}

}  // namespace

Bridge ensure_bridge(const NetworkNames& names, const LeaseBook& leases, const BridgeWish& wish) {
  NetlinkSocket route = NetlinkSocket::open(NETLINK_ROUTE);
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  const std::optional<Subnet> last = wish.subnet ? wish.subnet : leases.subnet();
  const std::optional<Link> link = find_link(route, names.bridge);
  Bridge bridge;
  const bool is_new = !link || !last || is_half_made(*link, leases);
  if (is_new) {
    if (link) remove_link(route, names.bridge);
    bridge = create_bridge(route, names.bridge, leases, last, wish);
  } else {
    bridge = {.link = *link, .subnet = *last};
  }
  bridge.gateway = wish.gateway.value_or(bridge.subnet.gateway());
  if (is_new || !has_nat_table(netfilter, names.table, wish.policy))
    make_nat_table(netfilter, {names.table, names.bridge, bridge.subnet, wish.policy},
                   ports_of_holders(leases));
  const Families families = wish.subnet6 ? Families::both : Families::ipv4;
  if ((is_new || !has_sender_table(netfilter, names.table, families)) &&
      !make_sender_table(netfilter, names.table, senders_of(leases), families) && is_new)
    bridge.notes.emplace_back(
        "this kernel has no nftables for bridges: a container with CAP_NET_RAW can send under the addresses "
        "of "
        "others");
  if (wish.subnet6) ensure_ipv6(route, netfilter, names, leases, wish, bridge);
  if (wish.policy.reach == Reach::everywhere)
    for (std::string& note : enable_forwarding()) bridge.notes.push_back(std::move(note));
  return bridge;
}

void remove_unused_bridge(const NetworkNames& names, const LeaseBook& leases) {
  if (leases.any_held()) return;
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  delete_nat_table(netfilter, names.table);
  delete_sender_table(netfilter, names.table);
  delete_ipv6_table(netfilter, names.table);
  NetlinkSocket route = NetlinkSocket::open(NETLINK_ROUTE);
  if (find_link(route, names.bridge)) remove_link(route, names.bridge);
}

bool is_tidy(const NetworkNames& names, const LeaseBook& leases) {
  const std::vector<Sender> senders = senders_of(leases);
  if (senders.empty()) return false;
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  return !has_stale_senders(netfilter, names.table, senders);
}

void tidy_bridge(const NetworkNames& names, const LeaseBook& leases) {
  remove_unused_bridge(names, leases);
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  dismiss_stale_senders(netfilter, names.table, senders_of(leases));
}

void revoke_leases(const NetworkNames& names, const LeaseBook& leases, std::string_view container_id) {
  LeaseRecords revoked;
  for (auto& entry : leases.records())
    if (entry.second.container == container_id) revoked.push_back(std::move(entry));
  take_away(names, revoked);
  for (const auto& [address, record] : revoked) leases.revoke(address);
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  dismiss_stale_senders(netfilter, names.table, senders_of(leases));
}

void clear_dead_leases(const NetworkNames& names, const LeaseBook& leases) {
  std::vector<DeadLease> dead = leases.dead();
  if (dead.empty()) return;
  LeaseRecords records;
  for (const DeadLease& entry : dead) records.emplace_back(entry.lease.address, entry.record);
  take_away(names, records);
  for (DeadLease& entry : dead) leases.drop(std::move(entry.lease));
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  dismiss_stale_senders(netfilter, names.table, senders_of(leases));
}

}  // namespace lay::runner
