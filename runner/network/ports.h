#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "runner/network.h"

namespace lay::runner {

/// One published port, kept from everybody else by a bound socket that never listens: what arrives for it is
/// rewritten before it could get there.
struct HeldPort {
  PortMapping port;  ///< with the host port really taken
  UniqueFd socket;
};

/// Binds the host's side of `port`; host port 0 takes a free one, a range the first free one of it. Throws
/// busy when somebody has it ("port 8080/tcp is already in use on 0.0.0.0"), invalid when the host has no
/// such address. One that is on IPv6 too is bound for both families. A TCP port where only closed connections
/// linger (TIME_WAIT) counts as free, as it does for a server that sets SO_REUSEADDR; nobody can take it away
/// by that option afterwards.
HeldPort hold_port(const PortMapping& port);

/// All of `ports` in order. Throws invalid when two of them are the same host port.
std::vector<HeldPort> hold_ports(const std::vector<PortMapping>& ports);

/// What is published by them: of one that is on both families a mapping for each.
std::vector<PortMapping> mappings_of(const std::vector<HeldPort>& held);

/// "8080/tcp".
std::string host_port_name(const PortMapping& port);

}  // namespace lay::runner
