#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "command.h"
#include "containers/container_choice.h"
#include "each.h"
#include "flags/options.h"
#include "output/messages.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

/// 137 alone does not say who sent SIGKILL. Of one with --rm nothing is left to read.
void tell_of_oom_kill(const runner::Container& container) {
  const runner::ContainerConfig& config = container.config();
  if (config.auto_remove || !container.state().oom_killed) return;
  print_note(fmt::format("container '{}' ran out of memory: the kernel killed a process of it", config.name));
}

constexpr std::chrono::milliseconds kPause{250};     // podman's
constexpr std::uint64_t kLongestPause = 86'400'000;  // milliseconds

/// podman's words for what a container is, of which several are one here.
enum class Condition { created, running, paused, ended };

std::vector<Condition> parse_conditions(const std::vector<std::string>& texts) {
  std::vector<Condition> conditions;
  for (const std::string& text : texts)
    for (const std::string& word : split(text, ',')) {
      if (word == "created" || word == "configured")
        conditions.push_back(Condition::created);
      else if (word == "running")
        conditions.push_back(Condition::running);
      else if (word == "paused")
        conditions.push_back(Condition::paused);
      else if (word == "stopped" || word == "exited")
        conditions.push_back(Condition::ended);
      else
        throw UsageError{fmt::format("--condition '{}' is none of created, running, paused, exited, stopped",
                                     printable(word))};
    }
  return conditions;
}

Condition condition_of(const runner::Container& container, const runner::ContainerState& state) {
  switch (state.status) {
    case runner::Status::created:
      return Condition::created;
    case runner::Status::exited:
      return Condition::ended;
    case runner::Status::running:
      break;
  }
  return runner::is_paused(container) ? Condition::paused : Condition::running;
}

/// "250ms", "2s", or a number of milliseconds; not so short that the looks themselves keep a processor busy.
std::chrono::milliseconds parse_interval(const std::string& text) {
  const bool is_short = text.ends_with("ms");
  const bool is_long = !is_short && text.ends_with('s');
  const auto number = parse_number(text.substr(0, text.size() - (is_short ? 2 : is_long ? 1 : 0)));
  if (!number) throw UsageError{fmt::format("--interval '{}' is not like 250ms or 2s", printable(text))};
  const std::uint64_t unit = is_long ? 1000 : 1;
  if (*number < 1 || *number > kLongestPause / unit)
    throw UsageError{fmt::format("--interval '{}' is not between 1ms and a day", printable(text))};
  return std::chrono::milliseconds(*number * unit);
}

/// -1 for one that has not ended, as podman prints it.
int wait_for(const runner::Container& container, const std::vector<Condition>& wanted,
             std::chrono::milliseconds pause) {
  const auto is_wanted = [&](const runner::ContainerState& state) {
    return std::ranges::find(wanted, condition_of(container, state)) != wanted.end();
  };
  const runner::ContainerState state = runner::await_state(container, is_wanted, pause);
  return state.status == runner::Status::exited ? state.exit_code : -1;
}

}  // namespace

int command_wait(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  std::vector<std::string> conditions;
  std::string interval;
  bool latest = false;
  bool ignores_missing = false;
  Parser parser("wait", "[flags] CONTAINER …", "Waits until containers end and prints their exit codes.");
  parser.add_option("container", names, "names or ids");
  parser.add_list("--condition", conditions,
                  "instead of their end: created, running, paused, exited or stopped", "CONDITION");
  parser.add_option("-i,--interval", interval, "between two looks at a condition (250ms)").type_name("TIME");
  parser.add_flag("-l,--latest", latest, "the one made last");
  parser.add_flag("--ignore", ignores_missing, "not there is no error: the code is -1");
  parser.parse(arguments);
  const std::vector<Condition> wanted = parse_conditions(conditions);
  const std::chrono::milliseconds pause = interval.empty() ? kPause : parse_interval(interval);
  const runner::ContainerStore containers = open_containers(context);
  if (latest == !names.empty()) throw UsageError{latest ? "--latest goes without names" : "which container?"};
  std::vector<Chosen> chosen;
  for (const std::string& name : names) chosen.push_back({name, name});
  if (latest) chosen.push_back(latest_container(containers));
  return for_each_of("wait", chosen, &Chosen::name, [&](const Chosen& one) {
    try {
      const runner::Container container = containers.find(one.key);
      const int code =
          wanted.empty() ? runner::wait_container(container) : wait_for(container, wanted, pause);
      fmt::print("{}\n", code);
      tell_of_oom_kill(container);
    } catch (const Error& error) {
      if (error.code() != Errc::not_found || !ignores_missing) throw;
      fmt::print("-1\n");
    }
  });
}

}  // namespace lay::cli
