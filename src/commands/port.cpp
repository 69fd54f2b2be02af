#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "lists/port_listing.h"
#include "runner/network_view.h"

namespace lay::cli {

namespace {

/// "80" or "80/udp"; throws invalid.
runner::PortMapping parse_wanted(const std::string& text) {
  const std::vector<runner::PortMapping> ports = runner::parse_exposed_ports(text);
  if (ports.size() == 1) return ports.front();
  throw Error::make(Errc::invalid, "'{}' is more than one port", printable(text)).with_hint("80 or 53/udp");
}

void print_all(const std::vector<runner::PortMapping>& ports) {
  for (const runner::PortMapping& port : ports)
    fmt::print("{} -> {}\n", runner::port_name(port.container_port, port.protocol),
               runner::host_end(port, std::to_string(port.host_port)));
}

void print_one(const std::vector<runner::PortMapping>& ports, const runner::PortMapping& wanted) {
  bool is_found = false;
  for (const runner::PortMapping& port : ports) {
    if (port.container_port != wanted.container_port || port.protocol != wanted.protocol) continue;
    fmt::print("{}\n", runner::host_end(port, std::to_string(port.host_port)));
    is_found = true;
  }
  if (!is_found)
    throw Error::make(Errc::not_found, "port {} is not published",
                      runner::port_name(wanted.container_port, wanted.protocol))
        .with_hint("'lay ps' shows the published ports of running containers");
}

}  // namespace

int command_port(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string wanted;
  Parser parser("port", "CONTAINER [PORT[/PROTO]]",
                "Shows where the ports of a running container are published.");
  parser.add_option("container", name, "name or id").required();
  parser.add_option("port", wanted, "of the container: only where this one is");
  parser.parse(arguments);
  return with_context("port " + printable(name), [&] {
    const runner::ContainerStore containers = open_containers(context);
    const runner::Container container = containers.find(name);
    const std::vector<runner::PortMapping> ports =
        runner::live_ports(containers, container, container.state());
    if (wanted.empty())
      print_all(ports);
    else
      print_one(ports, parse_wanted(wanted));
    return 0;
  });
}

}  // namespace lay::cli
