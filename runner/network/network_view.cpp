#include "runner/network_view.h"

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

/// `guess` is where to look first: reading one lease instead of all.
LiveAddress find_address(const std::string& run, const std::optional<NetworkDefinition>& network,
                         const std::string& container_id, const std::string& guess) {
  const std::optional<LeaseBook> leases = find_leases(run, network);
  const std::optional<Subnet> subnet = leases ? subnet_of(*leases, network) : std::nullopt;
  if (!subnet) return {};
  if (const std::optional<Ipv4> address = parse_ipv4(guess))
    if (const LeaseRecord record = leases->read(*address); record.container == container_id)
      return live_address(network, *subnet, *address, record);
  for (const auto& [address, record] : leases->records())
    if (record.container == container_id) return live_address(network, *subnet, address, record);
  return {};
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
