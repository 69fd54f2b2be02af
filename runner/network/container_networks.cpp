#include "network/container_networks.h"

#include <algorithm>
#include <utility>

namespace lay::runner {

namespace {

bool can_publish(const std::optional<NetworkMember>& member) {
  return !member ||
         (member->network.reach == Reach::everywhere && member->network.driver == NetworkDriver::bridge);
}

bool can_publish6(const std::optional<NetworkMember>& member) {
  return member && can_publish(member) && !member->network.subnet6.empty();
}

/// The first member that can publish has the ports. When none can, the first of all refuses them.
template <class Predicate>
std::size_t first_of(const std::vector<std::optional<NetworkMember>>& members, Predicate&& can) {
  const auto found = std::find_if(members.begin(), members.end(), can);
  return found == members.end() ? 0 : static_cast<std::size_t>(found - members.begin());
}

}  // namespace

std::optional<NetworkMember> member_on(const ContainerStore& store, const Container& container,
                                       const Endpoint& endpoint) {
  if (endpoint.name.empty()) return std::nullopt;
  constexpr std::size_t kShortId = 12;
  const ContainerConfig& config = container.config();
  std::vector<std::string> names{config.name, config.id.substr(0, kShortId)};
  names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
  return NetworkMember{.network = NetworkStore(store.root()).find(endpoint.name),
                       .names = std::move(names),
                       .folder = container.path()};
}

NetworkConfig config_on(const Endpoint& endpoint) {
  NetworkConfig config;
  set_endpoints(config, {endpoint});
  return config;
}

ContainerNetworks ContainerNetworks::reserve(const ContainerStore& store, const Container& container) {
  const NetworkConfig& network = container.config().network;
  const std::vector<Endpoint> endpoints = endpoints_of(network);
  std::vector<std::optional<NetworkMember>> members;
  for (const Endpoint& endpoint : endpoints) members.push_back(member_on(store, container, endpoint));
  const std::size_t publishing = first_of(members, can_publish);
  const std::size_t publishing6 = first_of(members, can_publish6);
  const NetworkStore networks(store.root());
  ContainerNetworks result;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    NetworkConfig config = config_on(endpoints[i]);
    for (const PortMapping& port : network.ports)
      if (i == (is_ipv6(port) ? publishing6 : publishing)) config.ports.push_back(port);
    result.attachments_.push_back(
        BridgeAttachment::reserve(store.run(), container.config().id, config, members[i], &networks));
  }
  return result;
}

const Attachment* ContainerNetworks::first() const {
  return attachments_.empty() ? nullptr : &attachments_.front().attachment();
}

std::vector<PortMapping> ContainerNetworks::ports() const {
  std::vector<PortMapping> ports;
  for (const BridgeAttachment& entry : attachments_)
    ports.insert(ports.end(), entry.attachment().ports.begin(), entry.attachment().ports.end());
  return ports;
}

std::vector<std::string> ContainerNetworks::notes() const {
  std::vector<std::string> notes;
  for (const BridgeAttachment& entry : attachments_)
    for (const std::string& note : entry.attachment().notes)
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
  return notes;
}

void ContainerNetworks::tell_names() const {
  for (const BridgeAttachment& entry : attachments_) entry.tell_names();
}

void ContainerNetworks::connect(pid_t pid) {
  unsigned link = 0;
  for (BridgeAttachment& entry : attachments_) entry.connect(pid, link++);
}

}  // namespace lay::runner
