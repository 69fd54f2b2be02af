#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "command.h"
#include "options.h"
#include "output/listing.h"
#include "port_listing.h"
#include "runner/ended.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr std::size_t kShownCommand = 24;

/// docker's word for what state.json has as running.
std::string_view state_name(const runner::Container& container, const runner::ContainerState& state) {
  const bool is_running = state.status == runner::Status::running;
  return is_running && runner::is_paused(container) ? "paused" : runner::to_string(state.status);
}

std::string describe_status(const runner::ContainerState& state) {
  const auto now = std::chrono::system_clock::now();
  switch (state.status) {
    case runner::Status::running:
      return state.started ? "Up since " + format_age(*state.started, now) : "Up";
    case runner::Status::exited:
      return fmt::format("Exited ({}{}) {}", state.exit_code, state.oom_killed ? ", out of memory" : "",
                         state.finished ? format_age(*state.finished, now) : "");
    case runner::Status::created:
      return state.error.empty() ? "Created" : "Created (" + printable(state.error) + ")";
  }
  return "";
}

Json row_of(const runner::ContainerStore& store, const runner::Container& container,
            const runner::ContainerState& state, bool whole) {
  const runner::ContainerConfig& config = container.config();
  const std::string command = join(config.spec.process.args, " ");
  const auto image = config.notes.find(note::kImage);
  const std::string_view name = state_name(container, state);
  return Json{
      {"ID", whole ? config.id : config.id.substr(0, 12)},
      {"Image", image == config.notes.end() ? "" : image->second},
      {"Command",
       whole || command.size() <= kShownCommand ? command : command.substr(0, kShownCommand - 3) + "..."},
      {"CreatedAt", format_time(config.created)},
      {"RunningFor", format_age(config.created, std::chrono::system_clock::now())},
      {"State", name},
      {"Status", describe_status(state) + (name == "paused" ? " (Paused)" : "")},
      {"ExitCode", state.exit_code},
      {"Ports", describe_ports(published_ports(store, container, state))},
      {"Names", config.name},
      {"Labels", config.labels},
      {"Pid", state.pid},
  };
}

/// One whose settings cannot be read: shown, so that it can be removed.
Json damaged_row(const runner::ContainerStore& store, const runner::Container& container, bool whole) {
  Json row = row_of(store, container, container.state(), whole);
  row["State"] = "damaged";
  row["Status"] = "Damaged (" + printable(container.damage()) + ")";
  if (container.config().created == Time{}) row["RunningFor"] = "unknown";
  return row;
}

}  // namespace

int command_ps(const Context& context, const Arguments& arguments) {
  bool all = false;
  bool quiet = false;
  bool whole = false;
  std::string format;
  Parser parser("ps", "[flags]", "Lists running containers, or all of them.");
  parser.add_flag("-a,--all", all, "stopped ones too");
  parser.add_flag("-q,--quiet", quiet, "ids only");
  parser.add_flag("--no-trunc", whole, "whole ids and commands");
  parser.add_option("--format", format, "json, jsonl, or a template: '{{.Names}} {{.Status}}'")
      .type_name("FORMAT");
  parser.parse(arguments);

  const runner::ContainerStore store = open_containers(context);
  runner::sweep_ended(store);
  std::vector<runner::Container> containers = store.list();
  std::sort(containers.begin(), containers.end(),
            [](const auto& a, const auto& b) { return a.config().created > b.config().created; });
  std::vector<Json> rows;
  if (all)
    for (const runner::Container& container : store.list_damaged())
      rows.push_back(damaged_row(store, container, whole));
  for (const runner::Container& container : containers) {
    const runner::ContainerState state = container.state();
    if (all || state.status == runner::Status::running)
      rows.push_back(row_of(store, container, state, whole));
  }
  if (quiet) format = "{{.ID}}";
  print_listing(rows,
                {{"CONTAINER ID", "ID"},
                 {"IMAGE", "Image"},
                 {"COMMAND", "Command"},
                 {"CREATED", "RunningFor"},
                 {"STATUS", "Status"},
                 {"PORTS", "Ports"},
                 {"NAMES", "Names"}},
                format);
  return 0;
}

}  // namespace lay::cli
