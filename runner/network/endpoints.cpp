#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "network/address6.h"
#include "network/leases.h"
#include "runner/network.h"
#include "runner/network_membership.h"

namespace lay::runner {

std::vector<Endpoint> endpoints_of(const NetworkConfig& network) {
  if (network.mode != NetworkMode::bridge) return {};
  std::vector<Endpoint> endpoints{{.name = network.name,
                                   .aliases = network.aliases,
                                   .address = network.address,
                                   .mac_address = network.mac_address,
                                   .address6 = network.address6}};
  endpoints.insert(endpoints.end(), network.more.begin(), network.more.end());
  return endpoints;
}

void set_endpoints(NetworkConfig& network, std::vector<Endpoint> endpoints) {
  network.mode = endpoints.empty() ? NetworkMode::none : NetworkMode::bridge;
  Endpoint first = endpoints.empty() ? Endpoint() : std::move(endpoints.front());
  network.name = std::move(first.name);
  network.aliases = std::move(first.aliases);
  network.address = std::move(first.address);
  network.mac_address = std::move(first.mac_address);
  network.address6 = std::move(first.address6);
  network.more.clear();
  if (!endpoints.empty())
    network.more.assign(std::move_iterator(endpoints.begin() + 1), std::move_iterator(endpoints.end()));
}

bool is_on(const NetworkConfig& network, std::string_view name) {
  const std::vector<Endpoint> endpoints = endpoints_of(network);
  return std::any_of(endpoints.begin(), endpoints.end(),
                     [&](const Endpoint& endpoint) { return endpoint.name == name; });
}

void check_addresses(const NetworkDefinition& network, const Endpoint& endpoint) {
  if (!endpoint.address.empty()) {
    const Subnet subnet = parse_subnet(network.subnet).value_or(Subnet{});
    const AddressPool pool{subnet, parse_ipv4(network.gateway()).value_or(Ipv4{}), subnet};
    const std::optional<Ipv4> address = parse_ipv4(endpoint.address);
    if (!address || !pool.has(*address)) throw no_address_of(pool, endpoint.address);
  }
  if (endpoint.address6.empty()) return;
  const std::optional<Subnet6> subnet = parse_subnet6(network.subnet6);
  if (!subnet) throw no_ipv6_on(network.name);
  const std::optional<Ipv6> address = parse_ipv6(endpoint.address6);
  if (!address || !subnet->contains(*address)) throw no_address_of(*subnet, endpoint.address6);
}

std::string shown_name(const Endpoint& endpoint) {
  return endpoint.name.empty() ? "bridge" : endpoint.name;
}

NetworkConfig parse_networks(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  for (const std::string& text : texts) {
    // "one,two" of podman; behind a colon commas part options
    const std::vector<std::string> names =
        text.find(':') == std::string::npos ? split(text, ',') : std::vector<std::string>{text};
    all.insert(all.end(), names.begin(), names.end());
  }
  if (all.empty()) return {};
  NetworkConfig network = parse_network(all.front());
  if (all.size() == 1) return network;
  std::vector<Endpoint> endpoints;
  std::set<std::string> seen;
  for (const std::string& text : all) {
    const NetworkConfig one = parse_network(text);
    if (one.mode != NetworkMode::bridge)
      throw Error::make(Errc::invalid, "--network '{}' cannot stand beside other networks", printable(text))
          .with_hint("bridge and networks of 'lay network ls' can");
    endpoints.push_back(endpoints_of(one).front());
    if (!seen.insert(one.name).second)
      throw Error::make(Errc::invalid, "--network '{}' is given twice", shown_name(endpoints.back()))
          .with_hint("once is enough");
  }
  set_endpoints(network, std::move(endpoints));
  return network;
}

}  // namespace lay::runner
