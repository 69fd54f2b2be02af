#include "runner/network.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>

#include <exception>
#include <future>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "network/bridge.h"
#include "network/bridge_linger.h"
#include "network/conntrack.h"
#include "network/foreign_chains.h"
#include "network/host_sysctl.h"
#include "network/leases.h"
#include "network/names.h"
#include "network/netlink_route.h"
#include "network/nftables.h"
#include "network/peer_names.h"
#include "network/ports.h"
#include "network/senders.h"
#include "process/process.h"

namespace lay::runner {

namespace {

constexpr int kLoopbackIndex = 1;  // in every network namespace

/// A name for the host's end that no link has yet.
std::string free_veth_name(std::string_view container_id) {
  NetlinkSocket socket = NetlinkSocket::open(NETLINK_ROUTE);
  for (unsigned attempt = 0;; ++attempt)
    if (const std::string name = veth_name(container_id, attempt); !find_link(socket, name)) return name;
}

std::string container_link(unsigned number) {
  return fmt::format("eth{}", number);
}

unsigned free_container_link(NetlinkSocket& inside) {
  for (unsigned number = 0;; ++number)
    if (!find_link(inside, container_link(number))) return number;
}

/// The requests that make the veth pair, in the host's namespace.
std::vector<NetlinkMessage> plan_links(const VethPlan& veth) {
  std::vector<NetlinkMessage> requests{make_veth(veth)};
  // With br_netfilter a container that uses its own published port is answered within the bridge, back
  // through the port it came from; without, it is routed
  if (read_setting("bridge/bridge-nf-call-iptables") == "1") requests.push_back(set_hairpin(veth.host_name));
  return requests;
}

struct ConnectPlan {
  VethPlan veth;                 ///< whose peer gets its name when the link's number is settled
  std::optional<unsigned> link;  ///< its number; empty: the lowest that is free
  Ipv4 address;
  Subnet subnet;
  Ipv4 gateway;
  Reach reach = Reach::everywhere;
};

/// Makes the veth pair and sets the container's end up. Moves the calling thread into the namespace for good.
void set_up_inside(NetlinkSocket& host, const UniqueFd& netns, const ConnectPlan& plan) {
  set_namespaces(netns, CLONE_NEWNET);
  // Before eth0 is there, which takes its settings from "default": no router advertisement is believed, and
  // an address need not wait a second for its duplicate
  try_write_setting("ipv6/conf/default/accept_ra", "0");
  try_write_setting("ipv6/conf/default/accept_dad", "0");
  NetlinkSocket inside = NetlinkSocket::open(NETLINK_ROUTE);
  const unsigned number = plan.link ? *plan.link : free_container_link(inside);
  VethPlan veth = plan.veth;
  veth.peer_name = container_link(number);
  host.run(plan_links(veth));
  const std::optional<Link> link = find_link(inside, veth.peer_name);
  if (!link) throw Error::make(Errc::io, "link '{}' vanished while it was set up", veth.peer_name);
  std::vector<NetlinkMessage> setup{set_link_up(kLoopbackIndex), set_link_up(link->index),
                                    add_address(link->index, plan.address, plan.subnet)};
  if (plan.reach == Reach::everywhere) setup.push_back(add_default_route(link->index, plan.gateway, number));
  inside.run(setup);
}

BridgeWish wish_of(const std::optional<NetworkMember>& member) {
  if (!member) return {};
  return {.subnet = parse_subnet(member->network.subnet),
          .gateway = parse_ipv4(member->network.gateway()),
          .reach = member->network.reach,
          .mtu = member->network.mtu};
}

AddressPool pool_of(const std::optional<NetworkMember>& member, const Bridge& bridge) {
  AddressPool pool{bridge.subnet, bridge.gateway, bridge.subnet};
  if (member && !member->network.ip_range.empty())
    pool.range = parse_subnet(member->network.ip_range).value_or(bridge.subnet);
  return pool;
}

}  // namespace

struct BridgeAttachment::State {
  std::string run;
  LeaseBook leases;
  NetworkNames names;
  std::vector<HeldPort> held_ports;
  std::string wished_mac = {};      ///< --mac-address
  std::string wished_address = {};  ///< --ip
  std::optional<NetworkMember> member = {};
  std::optional<Lease> lease = {};
  Bridge bridge = {};
  std::string veth = {};
  bool is_published = false;  ///< elements may be in the maps
  Attachment attachment = {};

  std::vector<PublishedPort> published_ports() const;
  MacAddress mac() const { return parse_mac(wished_mac).value_or(mac_address(lease->address)); }
  void take_lease(const std::string& container_id);
  void look_at_foreign_chains();
  void release();
};

std::vector<PublishedPort> BridgeAttachment::State::published_ports() const {
  std::vector<PublishedPort> ports;
  for (const HeldPort& held : held_ports) ports.push_back({held.port, lease->address});
  return ports;
}

void BridgeAttachment::State::take_lease(const std::string& container_id) {
  const AddressPool pool = pool_of(member, bridge);
  lease = wished_address.empty() ? leases.take(pool, container_id)
                                 : leases.take_exactly(pool, wished_address, container_id);
  veth = free_veth_name(container_id);
  for (const HeldPort& held : held_ports) attachment.ports.push_back(held.port);
  LeaseRecord record{.container = container_id, .veth = veth, .ports = attachment.ports, .mac = wished_mac};
  if (member) {
    record.names = member->names;
    record.folder = member->folder;
  }
  leases.write(*lease, record);
  attachment.address = to_string(lease->address);
  attachment.prefix_length = bridge.subnet.prefix_length;
  attachment.gateway = to_string(bridge.gateway);
  attachment.mac_address = to_string(mac());
  attachment.notes = bridge.notes;
}

void BridgeAttachment::State::look_at_foreign_chains() {
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  for (std::string& note : notes_on_foreign_chains(netfilter, names)) bridge.notes.push_back(std::move(note));
}

/// Published ports leave a dead lease, which a process of its own clears up: nobody waits for that but a
/// container that starts at once.
void BridgeAttachment::State::release() {
  const NetworkLock lock = leases.lock();
  if (lease && is_published) LeaseBook::leave_dead(*lease);
  if (lease && !is_published) leases.drop(*std::move(lease));
  lease.reset();
  if (member) tell_peer_names(leases);
  tidy_bridge_later(run, names, is_published ? Urgency::at_once : Urgency::later);
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
                                           const std::optional<NetworkMember>& member) {
  if (config.mode != NetworkMode::bridge)
    throw Error::make(Errc::invalid, "container '{}' has no place on the bridge by its network mode",
                      container_id);
  const BridgeWish wish = wish_of(member);
  if (wish.reach == Reach::inside && !config.ports.empty())
    throw Error::make(Errc::invalid, "network '{}' is internal: no port can be published on it", config.name)
        .with_hint("leave -p out, or use a network that is not --internal");
  const std::string place = member ? network_run(run, member->network.id) : run;
  // The ports first: they are what may be refused, and then nothing else has been touched
  std::vector<HeldPort> ports = hold_ports(config.ports);
  BridgeAttachment result(
      std::make_unique<State>(State{.run = place,
                                    .leases = LeaseBook::open(place),
                                    .names = member ? names_of_network(place) : network_names(run),
                                    .held_ports = std::move(ports),
                                    .wished_mac = config.mac_address,
                                    .wished_address = config.address,
                                    .member = member}));
  State& state = *result.state_;
  const NetworkLock lock = state.leases.lock();  // after `result`: its destructor takes the lock itself
  clear_dead_leases(state.names, state.leases);
  state.bridge = ensure_bridge(state.names, state.leases, wish);
  if (wish.reach == Reach::everywhere && (state.bridge.is_new || !config.ports.empty()))
    state.look_at_foreign_chains();
  state.take_lease(container_id);
  return result;
}

void BridgeAttachment::tell_names() const {
  if (!state_->member) return;
  const NetworkLock lock = state_->leases.lock();
  tell_peer_names(state_->leases);
}

void BridgeAttachment::connect(pid_t pid, unsigned link) {
  connect(sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/net", pid), O_RDONLY), link);
}

void BridgeAttachment::connect(const UniqueFd& netns, std::optional<unsigned> link) {
  State& state = *state_;
  NetlinkSocket host = NetlinkSocket::open(NETLINK_ROUTE);
  const ConnectPlan plan{.veth = {.host_name = state.veth,
                                  .peer_name = {},
                                  .peer_mac = state.mac(),
                                  .bridge = state.bridge.link,
                                  .netns = netns.get()},
                         .link = link,
                         .address = state.lease->address,
                         .subnet = state.bridge.subnet,
                         .gateway = state.bridge.gateway,
                         .reach = state.member ? state.member->network.reach : Reach::everywhere};
  // A thread of its own, since it stays in the container's namespace; meanwhile this one sets up the tables
  std::future<void> inside = std::async(std::launch::async, [&] { set_up_inside(host, netns, plan); });
  NetlinkSocket netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  state.is_published = !state.held_ports.empty();
  publish_ports(netfilter, state.names.table, state.published_ports(),
                admit_sender(state.names.table, {state.veth, state.mac(), state.lease->address}));
  forget_unpublished_flows(netfilter, state.attachment.ports);
  inside.get();
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

namespace {

/// `place` is the RUN of one network.
void sweep_network(const std::string& place, const NetworkNames& names) {
  const LeaseBook leases = LeaseBook::open(place);
  const NetworkLock lock = leases.lock();
  clear_dead_leases(names, leases);
  remove_unused_bridge(names, leases);
  tell_peer_names(leases);
}

/// The folders tell what there was, whatever became of the definitions.
void sweep_named_networks(const std::string& run) {
  const auto folder = sys::try_open_at(sys::cwd(), run + "/networks", O_RDONLY | O_DIRECTORY);
  if (!folder) return;
  for (const std::string& id : list_names(*folder)) {
    const std::string place = network_run(run, id);
    sweep_network(place, names_of_network(place));
  }
}

}  // namespace

void sweep_networks(const std::string& run) {
  sweep_network(run, network_names(run));
  sweep_named_networks(run);
}

}  // namespace lay::runner
