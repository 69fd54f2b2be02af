#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/detach.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "container/settled.h"
#include "network/bridge.h"
#include "network/bridge_linger.h"
#include "network/container_networks.h"
#include "network/inner_link.h"
#include "network/leases.h"
#include "network/names.h"
#include "network/peer_names.h"
#include "process/first_process.h"
#include "process/handshake.h"
#include "process/process.h"
#include "rootfs/etc_files.h"
#include "runner/network_membership.h"
#include "runner/network_view.h"

namespace lay::runner {

namespace {

using NoteTaker = std::function<void(const std::string& note)>;

struct Connection {
  std::string run;
  NetworkStore networks;
  std::string container_id;
  Endpoint endpoint;
  std::optional<NetworkMember> member;
  FirstProcess first;
};

BridgeAttachment make_connection(const Connection& plan) {
  const UniqueFd netns = sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/net", plan.first.pid), O_RDONLY);
  // The number might be another's by now: then this is not the namespace that was meant
  if (wait_for_end(plan.first.pidfd, std::chrono::milliseconds(0)))
    throw Error(Errc::invalid, "the container has ended").with_hint("start it first");
  BridgeAttachment attachment = BridgeAttachment::reserve(
      plan.run, plan.container_id, config_on(plan.endpoint), plan.member, &plan.networks);
  attachment.connect(netns, std::nullopt);
  attachment.tell_names();
  return attachment;
}

/// Until the container has ended, or somebody revoked what it has there.
void wait_until_over(const UniqueFd& pidfd, const BridgeAttachment& attachment, const UniqueFd& watch) {
  std::array<pollfd, 2> entries{pollfd{pidfd.get(), POLLIN, 0}, pollfd{watch.get(), POLLIN, 0}};
  while (!attachment.is_revoked()) {
    if (sys::retry_eintr([&] { return ::poll(entries.data(), entries.size(), -1); }) < 0)
      throw Error::from_errno("wait for the end of a container");
    if (entries[0].revents != 0) return;
    std::array<std::byte, 4096> events{};
    if (entries[1].revents != 0) static_cast<void>(sys::read_some(watch, events));
  }
}

/// The life of the process that holds a connection. `lock` is the caller's, of which it has a copy.
[[noreturn]] void hold(const Connection& plan, FileLock lock, ChildEnd caller) noexcept {
  try {
    { const FileLock callers_own = std::move(lock); }
    std::optional<BridgeAttachment> attachment;
    UniqueFd watch;
    try {
      attachment.emplace(make_connection(plan));
      watch = attachment->watch();
    } catch (const Error& error) {
      attachment.reset();
      caller.send_error(error);
      ::_exit(1);
    } catch (const std::exception& error) {  // no memory, no thread: silence would be taken for success
      attachment.reset();
      caller.send_error(Error(Errc::io, error.what()));
      ::_exit(1);
    }
    for (const std::string& note : attachment->attachment().notes) caller.send_note(note);
    { const ChildEnd told = std::move(caller); }  // its end is the good news
    wait_until_over(plan.first.pidfd, *attachment, watch);
    attachment.reset();
  } catch (const std::exception&) {
    ::_exit(1);  // what it held is a dead lease, which the next command clears
  }
  ::_exit(0);
}

void connect_live(const Connection& plan, FileLock& lock,
                  const std::function<void(const std::string& note)>& on_note) {
  Handshake handshake = make_handshake();
  if (detach(Descriptors::own)) hold(plan, std::move(lock), std::move(handshake.child));
  { const ChildEnd unused = std::move(handshake.child); }
  for (const std::string& note : handshake.parent.wait_for_exec()) on_note(note);
}

/// A veth goes with its end on the host; of a macvlan link nothing is to be seen there.
void remove_macvlan_links(const LeaseBook& leases, const Container& container, const FirstProcess& first) {
  const UniqueFd netns = sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/net", first.pid), O_RDONLY);
  if (wait_for_end(first.pidfd, std::chrono::milliseconds(0))) return;
  for (const auto& [address, record] : leases.held())
    if (record.container == container.config().id)
      remove_inside(netns, parse_mac(record.mac).value_or(mac_address(address)));
}

/// The container's own name leads to its first network: when it leaves that, to the next one.
OwnAddress own_address_without(const ContainerStore& store, const Container& container,
                               const std::string& network) {
  OwnAddress own{.name = container.config().spec.hostname, .before = {}, .after = {}};
  for (const EndpointView& view : view_endpoints(store, container, container.state())) {
    std::string& place = view.endpoint.name == network ? own.before : own.after;
    if (place.empty()) place = view.live.address;
  }
  if (own.after.empty()) own.after = kOwnLoopback;
  return own;
}

/// Where what is known of a network lies, and what it is called on the machine.
struct NetworkPlace {
  std::string run;
  NetworkNames names;
};

NetworkPlace place_of(const ContainerStore& store, const std::optional<NetworkDefinition>& network) {
  if (!network) return {store.run(), network_names(store.run())};
  const std::string run = network_run(store.run(), network->id);
  return {run, names_of_network(run)};
}

/// The container is off that network already. That its hosts file cannot be rewritten (it may have made it
/// too large) must not keep the rest from being done.
void correct_hosts(const LeaseBook& leases, const Container& container, bool has_peers, const OwnAddress& own,
                   const NoteTaker& on_note) {
  const auto try_to = [&](const auto& change) {
    try {
      change();
    } catch (const Error& error) {
      on_note(fmt::format("the hosts file of container '{}' still has names of a network that it left: {}",
                          container.config().name, printable(error.message())));
      return false;
    }
    return true;
  };
  if (has_peers) {
    for (const std::string& note : tell_peer_names(leases)) on_note(note);
    if (!try_to([&] { forget_peer_names(leases, container.path()); })) return;  // once is enough
  }
  if (!own.before.empty()) try_to([&] { tell_own_address(leases, container.path(), own); });
}

void disconnect_live(const ContainerStore& store, const Container& container,
                     const std::optional<NetworkDefinition>& network, const FirstProcess& first,
                     const NoteTaker& on_note) {
  const auto [place, names] = place_of(store, network);
  const LeaseBook leases = LeaseBook::open(place);
  const OwnAddress own = own_address_without(store, container, network ? network->name : std::string());
  const NetworkLock lock = leases.lock();
  if (network && network->driver == NetworkDriver::macvlan) remove_macvlan_links(leases, container, first);
  revoke_leases(names, leases, container.config().id);
  correct_hosts(leases, container, network.has_value(), own, on_note);
  tidy_bridge_later(place, names);
}

void check_own_network(const ContainerConfig& config) {
  if (config.network.mode == NetworkMode::bridge || config.network.mode == NetworkMode::none) return;
  throw Error::make(Errc::invalid, "container '{}' has no network of its own", config.name)
      .with_hint(config.network.mode == NetworkMode::container
                     ? "connect the container whose network it shares"
                     : "run it with --network bridge, none or one of 'lay network ls'");
}

std::optional<NetworkDefinition> find_network(const ContainerStore& store, const std::string& name) {
  if (name.empty() || name == "bridge") return std::nullopt;
  return NetworkStore(store.root()).find(name);
}

}  // namespace

void connect_to_network(const ContainerStore& store, const std::string& container_name, Endpoint endpoint,
                        const std::function<void(const std::string& note)>& on_note) {
  FileLock lock = NetworkStore(store.root()).change();
  Container container = store.find(container_name);
  const NetworkConfig before = container.config().network;
  check_own_network(container.config());
  const std::optional<NetworkDefinition> network = find_network(store, endpoint.name);
  endpoint.name = network ? network->name : std::string();
  if (is_on(before, endpoint.name))
    throw Error::make(Errc::busy, "container '{}' is on network '{}' already", container.config().name,
                      shown_name(endpoint))
        .with_hint("disconnect it first to give it other aliases or another address");
  std::vector<Endpoint> endpoints = endpoints_of(before);
  endpoints.push_back(endpoint);
  NetworkConfig after = before;
  set_endpoints(after, std::move(endpoints));
  Settled settled = settle(container);
  container.save_network(after);
  if (!settled.first) return;
  try {
    connect_live({.run = store.run(),
                  .networks = NetworkStore(store.root()),
                  .container_id = container.config().id,
                  .endpoint = endpoint,
                  .member = member_on(store, container, endpoint),
                  .first = std::move(*settled.first)},
                 lock, on_note);
  } catch (const Error&) {
    container.save_network(before);
    throw;
  }
}

void disconnect_from_network(const ContainerStore& store, const std::string& container_name,
                             const std::string& network_name,
                             const std::function<void(const std::string& note)>& on_note) {
  const FileLock lock = NetworkStore(store.root()).change();
  Container container = store.find(container_name);
  const std::optional<NetworkDefinition> network = find_network(store, network_name);
  const std::string name = network ? network->name : std::string();
  if (!is_on(container.config().network, name))
    throw Error::make(Errc::invalid, "container '{}' is not on network '{}'", container.config().name,
                      printable(network_name))
        .with_hint("'lay inspect " + container.config().name + "' lists its networks");
  NetworkConfig after = container.config().network;
  std::vector<Endpoint> endpoints = endpoints_of(after);
  std::erase_if(endpoints, [&](const Endpoint& endpoint) { return endpoint.name == name; });
  set_endpoints(after, std::move(endpoints));
  const Settled settled = settle(container);
  // First what can fail: a container that says it is off is not on
  if (settled.first) disconnect_live(store, container, network, *settled.first, on_note);
  container.save_network(after);
}

void withdraw_ended_ports(const ContainerStore& store, const Container& container) {
  for (const Endpoint& endpoint : endpoints_of(container.config().network)) {
    const auto [place, names] = place_of(store, find_network(store, endpoint.name));
    const std::optional<LeaseBook> leases = LeaseBook::find(place);
    if (!leases) continue;
    const NetworkLock lock = leases->lock();
    clear_dead_leases(names, *leases);
  }
}

}  // namespace lay::runner
