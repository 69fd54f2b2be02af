#pragma once

#include <functional>
#include <string>

#include "runner/container.h"
#include "runner/network.h"

namespace lay::runner {

/// Puts a container on one more network: at once where it runs, and at every later start. What it has there
/// while it runs is held by a process that ends with the container, or when it is disconnected.
///   container  name, id or beginning of an id
///   endpoint   its network by name or id
///   on_note    hears what the user should know
/// Throws invalid where it shares the network of somebody else; busy when it is on that network already.
void connect_to_network(const ContainerStore& store, const std::string& container, Endpoint endpoint,
                        const std::function<void(const std::string& note)>& on_note);

/// Throws invalid when `endpoint` asks for an address that `network` does not have for containers.
void check_addresses(const NetworkDefinition& network, const Endpoint& endpoint);

/// Takes a container off a network, at once and for every later start: link, address, names, and the ports
/// that it published there. `on_note` hears whose hosts file could not be brought up to date. Throws invalid
/// when it is not on it.
void disconnect_from_network(const ContainerStore& store, const std::string& container,
                             const std::string& network,
                             const std::function<void(const std::string& note)>& on_note);

/// Takes the published ports of containers that have ended on `container`'s networks out of the tables at
/// once, which else is done a moment later: until then what is sent there is lost. Waits for the kernel's
/// grace period.
void withdraw_ended_ports(const ContainerStore& store, const Container& container);

}  // namespace lay::runner
