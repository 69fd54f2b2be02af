#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runner/container.h"
#include "runner/network.h"
#include "runner/network_store.h"

/// Who is on which network at the moment, as the leases tell it: they are what changes when a running
/// container is connected or disconnected.
namespace lay::runner {

/// What a running container has on one network.
struct LiveAddress {
  std::string address;
  unsigned prefix_length = 0;
  std::string gateway;
  std::string mac_address;
  std::string address6;  ///< empty without IPv6
  unsigned prefix_length6 = 0;
  std::string gateway6;
};

/// One of a container's networks; without addresses where it does not run.
struct EndpointView {
  Endpoint endpoint;
  std::string network_id;  ///< empty for the bridge of all, and where the network is gone
  LiveAddress live;
};

/// In the order of its links. `state` is the container's.
std::vector<EndpointView> view_endpoints(const ContainerStore& store, const Container& container,
                                         const ContainerState& state);

/// The ports of a running container that are published now: a network that it was taken off has taken those
/// on it along.
std::vector<PortMapping> live_ports(const ContainerStore& store, const Container& container,
                                    const ContainerState& state);

/// By container id. Without `network` those on the bridge of all.
std::map<std::string, LiveAddress> members_of(const std::string& run,
                                              const std::optional<NetworkDefinition>& network);

/// The bridge of all, as if somebody had made it: without an id, and without a subnet until one is chosen.
NetworkDefinition bridge_of_all(const std::string& run);

}  // namespace lay::runner
