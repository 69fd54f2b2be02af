#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "command.h"
#include "containers/container_choice.h"
#include "each.h"
#include "flags/options.h"
#include "output/messages.h"
#include "runner/lifecycle.h"
#include "runner/network_membership.h"

namespace lay::cli {

namespace {

/// It has ended: a table that cannot be changed now, or a network that is damaged, does not change that.
void withdraw_ports(const runner::ContainerStore& containers, const runner::Container& container) {
  try {
    runner::withdraw_ended_ports(containers, container);
  } catch (const Error& error) {
    print_note(fmt::format("the ports of container '{}' are not free at once: {}", container.config().name,
                           error.message()));
  }
}

}  // namespace

int command_stop(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  std::optional<unsigned> seconds;
  std::optional<std::string> signal;
  Parser parser("stop", "[flags] CONTAINER …",
                "Stops containers: the stop signal first, SIGKILL after the timeout.");
  choice.add_to(parser, "all that run");
  choice.add_ignore_to(parser);
  parser.add_option("-t,--time", seconds, "seconds until SIGKILL (the container's own: 10)")
      .type_name("SECONDS");
  parser.add_option("-s,--signal", signal, "instead of the container's stop signal (TERM)")
      .type_name("SIGNAL");
  parser.parse(arguments);
  require_root("stop");
  const auto number = signal ? std::optional(runner::parse_signal(*signal)) : std::nullopt;
  const runner::ContainerStore containers = open_containers(context);
  std::vector<runner::Container> with_ports;
  const auto stop = [&](runner::Container& container, const std::string& name) {
    const auto timeout = seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
    runner::stop_container(container, timeout, number);
    if (!container.config().network.ports.empty()) with_ports.push_back(std::move(container));
    fmt::print("{}\n", name);
  };
  const int code = choice.for_each("stop", containers, is_running, stop);
  // At once, and for all of them together: each change of the tables waits for the kernel
  for (const runner::Container& container : with_ports) withdraw_ports(containers, container);
  return code;
}

int command_kill(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  std::string signal = "KILL";
  Parser parser("kill", "[flags] CONTAINER …", "Sends a signal to the first process of containers.");
  choice.add_to(parser, "all that run");
  parser.add_option("-s,--signal", signal, "name or number (KILL)").type_name("SIGNAL");
  parser.parse(arguments);
  require_root("kill");
  const int number = runner::parse_signal(signal);
  const runner::ContainerStore containers = open_containers(context);
  return choice.for_each("kill", containers, is_running,
                         [&](const runner::Container& container, const std::string& name) {
                           runner::signal_container(container, number);
                           fmt::print("{}\n", name);
                         });
}

}  // namespace lay::cli
