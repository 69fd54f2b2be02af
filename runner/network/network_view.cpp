#include "runner/network_view.h"

#include <utility>

#include "network/address6.h"
#include "network/leases.h"
#include "network/names.h"

namespace lay::runner {

namespace {

LiveAddress live_address(const std::optional<NetworkDefinition>& network, const Subnet& subnet, Ipv4 address,
                         const LeaseRecord& record) {
  LiveAddress live{.address = to_string(address),
                   .prefix_length = subnet.prefix_length,
                   .gateway = network ? network->gateway() : to_string(subnet.gateway()),
                   .mac_address = to_string(parse_mac(record.mac).value_or(mac_address(address))),
                   .address6 = record.address6,
                   .gateway6 = {}};
  if (!network || record.address6.empty()) return live;
  live.prefix_length6 = parse_subnet6(network->subnet6).value_or(Subnet6{}).prefix_length;
  live.gateway6 = network->gateway6();
  return live;
}

std::optional<LeaseBook> find_leases(const std::string& run,
                                     const std::optional<NetworkDefinition>& network) {
  return LeaseBook::find(network ? network_run(run, network->id) : run);
}

std::optional<Subnet> subnet_of(const LeaseBook& leases, const std::optional<NetworkDefinition>& network) {
  return network ? parse_subnet(network->subnet) : leases.subnet();
}

/// What a container has on the network, empty when it is not there. `guess` is where to look first: reading
/// one lease instead of all.
std::pair<Ipv4, LeaseRecord> find_record(const LeaseBook& leases, const std::string& container_id,
                                         const std::string& guess) {
  if (const std::optional<Ipv4> address = parse_ipv4(guess))
    if (LeaseRecord record = leases.read(*address); record.container == container_id)
      return {*address, std::move(record)};
  for (auto&& [address, record] : leases.records())
    if (record.container == container_id) return {address, std::move(record)};
  return {};
}

LiveAddress find_address(const std::string& run, const std::optional<NetworkDefinition>& network,
                         const std::string& container_id, const std::string& guess) {
  const std::optional<LeaseBook> leases = find_leases(run, network);
  const std::optional<Subnet> subnet = leases ? subnet_of(*leases, network) : std::nullopt;
  if (!subnet) return {};
  const auto [address, record] = find_record(*leases, container_id, guess);
  return record.container.empty() ? LiveAddress{} : live_address(network, *subnet, address, record);
}

std::optional<NetworkDefinition> try_find(const NetworkStore& networks, const std::string& name) {
  try {
    return networks.find(name);
  } catch (const Error& error) {
    if (error.code() == Errc::not_found) return std::nullopt;
    throw;
  }
}

}  // namespace

std::vector<EndpointView> view_endpoints(const ContainerStore& store, const Container& container,
                                         const ContainerState& state) {
  const ContainerConfig& config = container.config();
  const NetworkStore networks(store.root());
  std::vector<EndpointView> views;
  for (const Endpoint& endpoint : endpoints_of(config.network)) {
    EndpointView view{.endpoint = endpoint, .network_id = {}, .live = {}};
    std::optional<NetworkDefinition> network;
    if (!endpoint.name.empty()) network = try_find(networks, endpoint.name);
    if (network) view.network_id = network->id;
    const bool exists = endpoint.name.empty() || network;
    if (state.status == Status::running && exists)
      view.live = find_address(store.run(), network, config.id, state.address);
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<PortMapping> live_ports(const ContainerStore& store, const Container& container,
                                    const ContainerState& state) {
  std::vector<PortMapping> ports;
  const NetworkStore networks(store.root());
  for (const Endpoint& endpoint : endpoints_of(container.config().network)) {
    if (ports.size() >= state.ports.size()) break;  // usually all are those of the first network
    std::optional<NetworkDefinition> network;
    if (!endpoint.name.empty() && !(network = try_find(networks, endpoint.name))) continue;
    const std::optional<LeaseBook> leases = find_leases(store.run(), network);
    if (!leases) continue;
    const LeaseRecord record = find_record(*leases, container.config().id, state.address).second;
    ports.insert(ports.end(), record.ports.begin(), record.ports.end());
  }
  return ports;
}

NetworkDefinition bridge_of_all(const std::string& run) {
  NetworkDefinition bridge{.name = "bridge"};
  const std::optional<LeaseBook> leases = LeaseBook::find(run);
  if (const auto subnet = leases ? leases->subnet() : std::nullopt) bridge.subnet = to_string(*subnet);
  return bridge;
}

std::map<std::string, LiveAddress> members_of(const std::string& run,
                                              const std::optional<NetworkDefinition>& network) {
  std::map<std::string, LiveAddress> members;
  const std::optional<LeaseBook> leases = find_leases(run, network);
  const std::optional<Subnet> subnet = leases ? subnet_of(*leases, network) : std::nullopt;
  if (!subnet) return members;
  for (const auto& [address, record] : leases->records())
    if (!record.container.empty())
      members[record.container] = live_address(network, *subnet, address, record);
  return members;
}

}  // namespace lay::runner
