#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/file_limit.h"
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

/// One that has been asked to end, as all are before any is waited for.
struct Asked {
  Asked(const runner::ContainerStore& containers, runner::Container asked, std::string shown,
        std::optional<std::chrono::seconds> timeout, std::optional<int> signal)
      : name(std::move(shown)),
        container(std::move(asked)),
        stopping(containers, container, timeout, signal) {}

  std::string name;
  runner::Container container;
  runner::Stopping stopping;
};

/// As long as docker waits.
constexpr std::chrono::seconds kKillLimit{10};

void check_has_ended(Asked& killed) {
  if (killed.stopping.has_ended_within(kKillLimit)) return;
  throw Error::make(Errc::busy, "container '{}' has not ended within {} s of SIGKILL",
                    killed.container.config().name, kKillLimit.count())
      .with_hint("a process of it may wait for a disk or a server; 'lay wait' waits on");
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
  const auto timeout = seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
  raise_file_limit();
  std::vector<std::unique_ptr<Asked>> asked;  // which stay where they are
  const auto ask = [&](runner::Container& container, const std::string& name) {
    asked.push_back(std::make_unique<Asked>(containers, std::move(container), name, timeout, number));
  };
  const int asking = choice.for_each("stop", containers, is_running, ask);
  const auto name_of = [](const std::unique_ptr<Asked>& one) { return one->name; };
  std::vector<const runner::Container*> with_ports;
  const int ending = for_each_of("stop", asked, name_of, [&](const std::unique_ptr<Asked>& one) {
    one->stopping.finish();
    if (!one->container.config().network.ports.empty()) with_ports.push_back(&one->container);
    fmt::print("{}\n", one->name);
  });
  // At once, and for all of them together: each change of the tables waits for the kernel
  for (const runner::Container* container : with_ports) withdraw_ports(containers, *container);
  return std::max(asking, ending);
}

int command_kill(const Context& context, const Arguments& arguments) {
  ContainerChoice choice;
  std::string signal = "KILL";
  Parser parser("kill", "[flags] CONTAINER …",
                "Sends a signal to the first process of containers. "
                "After SIGKILL it waits until they have ended.");
  choice.add_to(parser, "all that run");
  parser.add_option("-s,--signal", signal, "name or number (KILL)").type_name("SIGNAL");
  parser.parse(arguments);
  require_root("kill");
  const int number = runner::parse_signal(signal);
  const runner::ContainerStore containers = open_containers(context);
  std::vector<std::unique_ptr<Asked>> killed;
  const auto send = [&](runner::Container& container, const std::string& name) {
    if (number != SIGKILL) {
      runner::signal_container(container, number);
      fmt::print("{}\n", name);
      return;
    }
    auto one = std::make_unique<Asked>(containers, std::move(container), name, std::chrono::seconds(0),
                                       std::nullopt);  // which asks for nothing
    runner::signal_container(one->container, SIGKILL);
    killed.push_back(std::move(one));
  };
  const int sending = choice.for_each("kill", containers, is_running, send);
  const auto name_of = [](const std::unique_ptr<Asked>& one) { return one->name; };
  const int ending = for_each_of("kill", killed, name_of, [](const std::unique_ptr<Asked>& one) {
    check_has_ended(*one);
    fmt::print("{}\n", one->name);
  });
  return std::max(sending, ending);
}

}  // namespace lay::cli
