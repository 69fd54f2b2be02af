#pragma once

#include <string>
#include <vector>

#include "runner/container.h"

namespace lay::cli {

/// The ports as they are published now, with the host ports that were chosen; as they were asked for when the
/// container does not run.
std::vector<runner::PortMapping> published_ports(const runner::ContainerStore& store,
                                                 const runner::Container& container,
                                                 const runner::ContainerState& state);

/// "0.0.0.0:8080->80/tcp, 0.0.0.0:9000-9010->9000-9010/udp": consecutive ports together, as docker shows
/// them.
std::string describe_ports(const std::vector<runner::PortMapping>& ports);

}  // namespace lay::cli
