#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "command.h"
#include "containers/written_size.h"
#include "flags/list_flags.h"
#include "flags/options.h"
#include "lists/container_filter.h"
#include "lists/port_listing.h"
#include "output/listing.h"
#include "runner/ended.h"

namespace lay::cli {

namespace {

constexpr std::size_t kShownCommand = 24;
/// A listing waits no longer for what killed commands have left to be removed.
constexpr std::chrono::milliseconds kSweepPatience{500};

/// "5 minutes", as docker has it.
std::string time_since(Time then, Time now) {
  constexpr std::string_view kAgo = " ago";
  const std::string age = format_age(then, now);
  return age.ends_with(kAgo) ? age.substr(0, age.size() - kAgo.size()) : "Less than a second";
}

std::string describe_status(const runner::ContainerState& state) {
  const auto now = std::chrono::system_clock::now();
  switch (state.status) {
    case runner::Status::running:
      return (state.started ? "Up " + time_since(*state.started, now) : "Up") +
             (state.is_abandoned ? " (without supervisor)" : "");
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
  const std::string_view name = shown_status(container, state);
  return Json{
      {"ID", whole ? config.id : config.id.substr(0, 12)},
      {"Image", note_of(config, note::kImage)},
      {"Command", whole ? command : shortened(command, kShownCommand)},
      {"CreatedAt", format_time(config.created)},
      {"RunningFor", format_age(config.created, std::chrono::system_clock::now())},
      {"State", name},
      {"Status", describe_status(state) + (name == "paused" ? " (Paused)" : "")},
      {"ExitCode", state.exit_code},
      {"Ports", describe_ports(published_ports(store, container, state))},
      {"Names", config.name},
      {"Labels", config.labels},
      {"Mounts", mounts_of(config)},
      {"Networks", networks_of(config)},
      {"Pid", state.pid},
  };
}

void add_size(Json& row, const runner::Container& container) {
  const std::uint64_t bytes = written_size(container);
  row["Size"] = format_size(bytes);
  row["Bytes"] = bytes;
}

/// One whose settings cannot be read: shown, so that it can be removed.
Json damaged_row(const runner::ContainerStore& store, const runner::Container& container, bool whole,
                 bool sizes) {
  Json row = row_of(store, container, container.state(), whole);
  row["State"] = "damaged";
  row["Status"] = "Damaged (" + printable(container.damage()) + ")";
  if (container.config().created == Time{}) row["RunningFor"] = "unknown";
  if (sizes) add_size(row, container);
  return row;
}

struct Shown {
  bool stopped;  ///< those too
  bool whole;    ///< ids and commands
  bool sizes;
  int most;  ///< below 0: all
};

/// The newest first.
std::vector<Json> rows_of(const runner::ContainerStore& store, const ContainerFilter& filter, Shown shown) {
  std::vector<Json> rows;
  if (shown.stopped && shown.most < 0 && filter.is_empty())
    for (const runner::Container& container : store.list_damaged())
      rows.push_back(damaged_row(store, container, shown.whole, shown.sizes));
  std::vector<runner::Container> containers = store.list();
  std::sort(containers.begin(), containers.end(),
            [](const auto& a, const auto& b) { return a.config().created > b.config().created; });
  for (const runner::Container& container : containers) {
    if (shown.most == 0) break;
    const runner::ContainerState state = container.state();
    if (!shown.stopped && state.status != runner::Status::running) continue;
    if (!filter.fits(container, state, shown_status(container, state))) continue;
    rows.push_back(row_of(store, container, state, shown.whole));
    if (shown.sizes) add_size(rows.back(), container);
    --shown.most;
  }
  return rows;
}

}  // namespace

int command_ps(const Context& context, const Arguments& arguments) {
  bool all = false;
  bool quiet = false;
  bool whole = false;
  bool latest = false;
  bool sizes = false;
  int last = -1;
  std::vector<std::string> filters;
  std::string format;
  Parser parser("ps", "[flags]", "Lists running containers, or all of them.");
  parser.add_flag("-a,--all", all, "stopped ones too");
  parser.add_flag("-q,--quiet", quiet, "ids only");
  parser.add_flag("--no-trunc", whole, "whole ids and commands");
  parser.add_option("--format", format, "json, jsonl, or a template: '{{.Names}} {{.Status}}'")
      .type_name("FORMAT");
  parser.add_list("-f,--filter", filters,
                  "only those: id, name, label, status, exited, ancestor, before, since, volume, network, "
                  "publish, health",
                  "KEY=VALUE");
  parser.add_option("-n,--last", last, "the N made last, stopped ones too").type_name("N");
  parser.add_flag("-l,--latest", latest, "the one made last, as -n 1");
  ListFlags list({{"created", "CreatedAt"},
                  {"command", "Command"},
                  {"id", "ID"},
                  {"image", "Image"},
                  {"names", "Names"},
                  {"runningfor", "CreatedAt"},
                  {"size", "Bytes"},
                  {"status", "Status"}});
  list.add_to(parser, "--noheading");
  parser.add_flag("-s,--size", sizes, "with what each has written");
  parser.parse(arguments);

  const runner::ContainerStore store = open_containers(context);
  const ContainerFilter filter(store, filters);
  if (latest) last = 1;
  if (last >= 0 || filter.wants_stopped()) all = true;
  if (format.find(".Size") != std::string::npos || list.sorts_by("size")) sizes = true;
  runner::sweep_ended_aside(store, kSweepPatience);
  std::vector<Json> rows = rows_of(store, filter, {all, whole, sizes, last});
  if (list.sorts()) std::ranges::reverse(rows);  // of one second, the oldest first
  list.sort(rows);
  if (quiet) format = "{{.ID}}";
  std::vector<Column> columns{{"CONTAINER ID", "ID"},    {"IMAGE", "Image"},   {"COMMAND", "Command"},
                              {"CREATED", "RunningFor"}, {"STATUS", "Status"}, {"PORTS", "Ports"},
                              {"NAMES", "Names"}};
  if (sizes) columns.push_back({"SIZE", "Size"});
  print_listing(rows, columns, format, list.heading());
  return 0;
}

}  // namespace lay::cli
