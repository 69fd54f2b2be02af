#include "runner/network.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include <algorithm>
#include <exception>
#include <future>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "network/attachment_state.h"
#include "network/bridge.h"
#include "network/bridge_linger.h"
#include "network/conntrack.h"
#include "network/foreign_chains.h"
#include "network/host_sysctl.h"
#include "network/inner_link.h"
#include "network/leases.h"
#include "network/legacy_chains.h"
#include "network/macvlan.h"
#include "network/names.h"
#include "network/netlink_route.h"
#include "network/nftables.h"
#include "network/nftables_ipv6.h"
#include "network/peer_names.h"
#include "network/ports.h"
#include "network/senders.h"

namespace lay::runner {

namespace {

/// A name for the host's end that no link has yet. A container's ends on several networks are made later than
/// they are named, and so the network is part of it.
std::string free_veth_name(const std::string& container_id, const std::optional<NetworkMember>& member) {
  const std::string key = member ? container_id + member->network.id : container_id;
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  for (unsigned attempt = 0;; ++attempt)
    if (const std::string name = veth_name(key, attempt); !find_link(socket, name)) return name;
}

/// How a container's port of the bridge is to be.
std::vector<PortMode> port_modes(const std::optional<NetworkMember>& member) {
  std::vector<PortMode> modes;
  // With br_netfilter a container that uses its own published port is answered within the bridge, back
  // through the port it came from; without, it is routed
  if (read_setting("bridge/bridge-nf-call-iptables") == "1") modes.push_back(PortMode::hairpin);
  if (member && member->network.neighbours == Neighbours::apart) modes.push_back(PortMode::isolated);
  return modes;
}

/// The requests that make the veth pair, in the host's namespace.
std::vector<NetlinkMessage> plan_links(const VethPlan& veth, std::span<const PortMode> modes) {
  std::vector<NetlinkMessage> requests{make_veth(veth)};
  for (const PortMode mode : modes) requests.push_back(set_port_mode(veth.host_name, mode));
  return requests;
}

BridgeWish wish_of(const std::optional<NetworkMember>& member, const NetworkStore* networks) {
  if (!member) return {.others = networks};
  return {.subnet = parse_subnet(member->network.subnet),
          .gateway = parse_ipv4(member->network.gateway()),
          .subnet6 = parse_subnet6(member->network.subnet6),
          .gateway6 = parse_ipv6(member->network.gateway6()),
          .policy = NetworkPolicy(member->network),
          .mtu = member->network.mtu};
}

std::vector<PortMapping> on_ipv4_alone(std::vector<PortMapping> ports) {
  for (PortMapping& port : ports) port.on_ipv6_too = false;
  return ports;
}

/// Rewriting a packet's target cannot turn it from IPv6 to IPv4, and nothing else is between.
void check_ports(const std::vector<PortMapping>& ports, const BridgeWish& wish) {
  const auto port = std::find_if(ports.begin(), ports.end(), is_ipv6);
  if (port == ports.end()) return;
  if (!wish.subnet6) throw no_ipv6_for(*port);
  if (port->host_ip == "::1" && host_loopback6() == HostLoopback6::left_alone)
    throw Error::make(Errc::unsupported,
                      "port {} cannot be published: br_netfilter of this machine gets in the way of ::1",
                      to_string(*port))
        .with_hint(
            "sysctl net.bridge.bridge-nf-call-ip6tables=0, or publish it on 127.0.0.1 or another address");
}

bool is_macvlan(const std::optional<NetworkMember>& member) {
  return member && member->network.driver == NetworkDriver::macvlan;
}

}  // namespace

std::vector<PublishedPort> BridgeAttachment::State::published_ports() const {
  std::vector<PublishedPort> ports;
  const Ipv6 address6 = parse_ipv6(attachment.address6).value_or(Ipv6{});
  for (const PortMapping& port : attachment.ports) ports.push_back({port, lease->address, address6});
  return ports;
}

InnerLink BridgeAttachment::State::inner_link(const UniqueFd& netns, std::optional<unsigned> number) const {
  InnerLink link{.number = number, .address = lease->address, .subnet = bridge.subnet, .make = {}};
  if (const auto address6 = parse_ipv6(attachment.address6))
    link.address6 = {*address6, parse_subnet6(member->network.subnet6).value_or(Subnet6{}),
                     parse_ipv6(member->network.gateway6()).value_or(Ipv6{})};
  if (!member || member->network.reach == Reach::everywhere) link.gateway = bridge.gateway;
  if (is_macvlan(member)) {
    link.make = [plan = MacvlanPlan{.name = {}, .mac = mac(), .parent = bridge.link, .netns = netns.get()}](
                    const std::string& name) mutable {
      plan.name = name;
      return std::vector<NetlinkMessage>{make_macvlan(plan)};
    };
    return link;
  }
  link.make = [modes = port_modes(member),
               plan = VethPlan{.host_name = veth,
                               .peer_name = {},
                               .peer_mac = mac(),
                               .bridge = bridge.link,
                               .netns = netns.get()}](const std::string& name) mutable {
    plan.peer_name = name;
    return plan_links(plan, modes);
  };
  return link;
}

void BridgeAttachment::State::look_at_foreign_chains() {
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  const Families families = member && !member->network.subnet6.empty() ? Families::both : Families::ipv4;
  for (std::string& note : notes_on_foreign_chains(netfilter, names, families))
    bridge.notes.push_back(std::move(note));
  for (std::string& note : notes_on_legacy_chains(names.bridge)) bridge.notes.push_back(std::move(note));
}

/// Published ports leave a dead lease, which a process of its own clears up, or the next container takes
/// over.
void BridgeAttachment::State::release() {
  const NetworkLock lock = leases.lock();
  if (lease && is_published) LeaseBook::leave_dead(*lease);
  if (lease && !is_published) leases.drop(*std::move(lease));
  lease.reset();
  if (member) tell_peer_names(leases);
  if (is_macvlan(member)) return;
  tidy_bridge_later(run, names);
}

BridgeAttachment::BridgeAttachment(std::unique_ptr<State> state) : state_(std::move(state)) {}
BridgeAttachment::BridgeAttachment(BridgeAttachment&&) noexcept = default;

BridgeAttachment::~BridgeAttachment() {
  if (!state_) return;
  try {
    state_->release();
  } catch (const std::exception&) {
    // What is left is a dead lease, which the next attach or sweep clears
  }
}

const Attachment& BridgeAttachment::attachment() const {
  return state_->attachment;
}

BridgeAttachment BridgeAttachment::reserve(const std::string& run, const std::string& container_id,
                                           const NetworkConfig& config,
                                           const std::optional<NetworkMember>& member,
                                           const NetworkStore* networks) {
  if (config.mode != NetworkMode::bridge)
    throw Error::make(Errc::invalid, "container '{}' has no place on the bridge by its network mode",
                      container_id);
  const BridgeWish wish = wish_of(member, networks);
  if (wish.policy.reach == Reach::inside && !config.ports.empty())
    throw Error::make(Errc::invalid, "network '{}' is internal: no port can be published on it", config.name)
        .with_hint("leave -p out, or use a network that is not --internal");
  if (is_macvlan(member) && !config.ports.empty())
    throw Error::make(Errc::invalid, "network '{}' is macvlan: no port can be published on it", config.name)
        .with_hint("leave -p out: the container has an address on the wire that all its ports are at");
  if (!config.address6.empty() && !wish.subnet6) throw no_ipv6_on(config.name);
  check_ports(config.ports, wish);
  const std::string place = member ? network_run(run, member->network.id) : run;
  // The ports first: they are what may be refused, and then nothing else has been touched
  std::vector<HeldPort> ports = hold_ports(wish.subnet6 ? config.ports : on_ipv4_alone(config.ports));
  BridgeAttachment result(
      std::make_unique<State>(State{.run = place,
                                    .leases = LeaseBook::open(place),
                                    .names = member ? names_of_network(place) : network_names(run),
                                    .held_ports = std::move(ports),
                                    .wished_mac = config.mac_address,
                                    .wished_address = config.address,
                                    .wished_address6 = config.address6,
                                    .member = member}));
  State& state = *result.state_;
  if (is_macvlan(member)) {
    state.take_probed_lease(container_id);
    return result;
  }
  const NetworkLock lock = state.leases.lock();  // after `result`: its destructor takes the lock itself
  state.attachment.ports = mappings_of(state.held_ports);
  const std::optional<Ipv4> left = state.take_from_ended();
  state.bridge = ensure_bridge(state.names, state.leases, wish);
  if (wish.policy.reach == Reach::everywhere && (state.bridge.is_new || !config.ports.empty()))
    state.look_at_foreign_chains();
  state.take_lease(container_id, left);
  state.veth = free_veth_name(container_id, member);
  state.record_lease(container_id);
  return result;
}

void BridgeAttachment::tell_names() const {
  if (!state_->member) return;
  const NetworkLock lock = state_->leases.lock();
  for (std::string& note : tell_peer_names(state_->leases))
    state_->attachment.notes.push_back(std::move(note));
}

void BridgeAttachment::connect(pid_t pid, unsigned link) {
  connect(sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/net", pid), O_RDONLY), link);
}

void BridgeAttachment::connect(const UniqueFd& netns, std::optional<unsigned> link) {
  State& state = *state_;
  NetlinkSocket host = NetlinkSocket::open(NETLINK_ROUTE);
  const InnerLink plan = state.inner_link(netns, link);
  // A thread of its own, since it stays in the container's namespace; meanwhile this one sets up the tables
  std::future<void> inside = std::async(std::launch::async, [&] { set_up_inside(host, netns, plan); });
  if (is_macvlan(state.member)) return inside.get();
  try {
    state.set_up_tables();
  } catch (const Error&) {
    inside.wait();
    // A container that runs already would keep it, with nothing that watches what it sends
    if (find_link(host, state.veth)) {
      const NetlinkMessage removal = delete_link(state.veth);
      host.run({&removal, 1});
    }
    throw;
  }
  inside.get();
}

void BridgeAttachment::State::set_up_tables() {
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  is_published = !held_ports.empty();
  const std::vector<NetlinkMessage> admission =
      admit_sender(names.table, {veth, mac(), lease->address, parse_ipv6(attachment.address6)});
  if (publish_ports(netfilter, names.table, published_ports(), admission) == Published::tables_missing)
    publish_anew(netfilter, admission);
  forget_unpublished_flows(netfilter, attachment.ports);
}

/// Somebody has flushed the rules since the bridge was looked at, or the kernel has no such table, which is
/// told by who makes the bridge.
void BridgeAttachment::State::publish_anew(NetlinkSocket& netfilter,
                                           std::span<const NetlinkMessage> admission) {
  const NetworkLock lock = leases.lock();
  const Families families = member && !member->network.subnet6.empty() ? Families::both : Families::ipv4;
  const bool has_table = make_sender_table(netfilter, names.table, senders_of(leases), families);
  if (publish_ports(netfilter, names.table, published_ports(),
                    has_table ? admission : std::span<const NetlinkMessage>()) == Published::yes)
    return;
  throw Error::make(Errc::busy, "nftables table 'bridge {}' is removed again and again", names.table)
      .with_hint("find out who does: nft monitor");
}

UniqueFd BridgeAttachment::watch() const {
  UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch) throw Error::from_errno("watch a lease");
  const std::string path = fmt::format("/proc/self/fd/{}", state_->lease->lock.fd().get());
  // IN_ATTRIB: its last name is gone; IN_DELETE_SELF would come only when nobody has it open
  if (::inotify_add_watch(watch.get(), path.c_str(), IN_ATTRIB) < 0)
    throw Error::from_errno("watch the lease of {}", state_->attachment.address);
  return watch;
}

bool BridgeAttachment::is_revoked() const {
  return LeaseBook::is_revoked(*state_->lease);
}

void bring_loopback_up() {
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  const NetlinkMessage request = set_link_up(kLoopbackIndex);
  socket.run({&request, 1});
}

}  // namespace lay::runner
