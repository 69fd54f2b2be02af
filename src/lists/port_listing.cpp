#include "lists/port_listing.h"

#include "base/text.h"
#include "runner/network_view.h"

namespace lay::cli {

namespace {

/// A mapping and how many follow it, each one port further on both sides.
struct Run {
  runner::PortMapping first;
  std::uint16_t more = 0;
};

bool continues(const Run& run, const runner::PortMapping& port) {
  return run.first.host_ip == port.host_ip && run.first.protocol == port.protocol &&
         run.first.host_port != 0 && run.first.host_port_last == 0 && port.host_port_last == 0 &&
         port.host_port == run.first.host_port + run.more + 1 &&
         port.container_port == run.first.container_port + run.more + 1;
}

std::string range_text(std::uint16_t first, unsigned last) {
  return last > first ? fmt::format("{}-{}", first, last) : std::to_string(first);
}

std::string to_string(const Run& run) {
  const runner::PortMapping& port = run.first;
  const unsigned host_last = port.host_port_last != 0 ? port.host_port_last : port.host_port + run.more;
  return fmt::format("{}->{}/{}", runner::host_end(port, range_text(port.host_port, host_last)),
                     range_text(port.container_port, port.container_port + run.more),
                     port.protocol == runner::Protocol::tcp ? "tcp" : "udp");
}

}  // namespace

std::vector<runner::PortMapping> published_ports(const runner::ContainerStore& store,
                                                 const runner::Container& container,
                                                 const runner::ContainerState& state) {
  return state.status == runner::Status::running ? runner::live_ports(store, container, state)
                                                 : container.config().network.ports;
}

std::string describe_ports(const std::vector<runner::PortMapping>& ports) {
  std::vector<Run> runs;
  for (const runner::PortMapping& port : ports) {
    if (!runs.empty() && continues(runs.back(), port))
      ++runs.back().more;
    else
      runs.push_back({port});
  }
  std::vector<std::string> parts;
  for (const Run& run : runs) parts.push_back(to_string(run));
  return join(parts, ", ");
}

}  // namespace lay::cli
