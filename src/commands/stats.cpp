#include "runner/stats.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "output/listing.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr const char* kUnknown = "--";

struct StatsFlags {
  std::vector<std::string> names;
  bool all = false;
  bool whole = false;
  bool once = false;
  unsigned period = 1;  ///< seconds
  std::string format;
};

std::string size_text(const std::optional<std::uint64_t>& bytes) {
  return bytes ? format_size(*bytes) : kUnknown;
}

std::string pair_text(const std::optional<std::uint64_t>& left, const std::optional<std::uint64_t>& right) {
  return size_text(left) + " / " + size_text(right);
}

std::string memory_percent(const runner::Stats& stats) {
  if (!stats.memory || !stats.memory_limit || *stats.memory_limit == 0) return kUnknown;
  return fmt::format("{:.2f}%",
                     static_cast<double>(*stats.memory) / static_cast<double>(*stats.memory_limit) * 100);
}

using Samples = std::map<std::string, std::optional<runner::Stats>>;  // by id

/// Members are named as docker names them. One that does not run has no numbers.
Json row_of(const runner::ContainerConfig& config, const Samples& before, const Samples& after, bool whole) {
  const auto now = after.find(config.id);
  const bool is_known = now != after.end() && now->second;
  const runner::Stats stats = is_known ? *now->second : runner::Stats{};
  std::string processor = kUnknown;
  if (is_known && stats.processor) {
    const auto old = before.find(config.id);
    const bool has_old = old != before.end() && old->second;
    processor = fmt::format("{:.2f}%", has_old ? runner::processor_percent(*old->second, stats) : 0.0);
  }
  return Json{{"ID", whole ? config.id : config.id.substr(0, 12)},
              {"Container", config.id.substr(0, 12)},
              {"Name", config.name},
              {"CPUPerc", processor},
              {"MemUsage", pair_text(stats.memory, stats.memory_limit)},
              {"MemPerc", memory_percent(stats)},
              {"NetIO", pair_text(stats.received, stats.sent)},
              {"BlockIO", pair_text(stats.block_read, stats.block_written)},
              {"PIDs", stats.processes ? std::to_string(*stats.processes) : kUnknown}};
}

/// Those that were named, which must be there; else all that run, or all.
std::vector<runner::Container> choose(const runner::ContainerStore& store, const StatsFlags& flags) {
  std::vector<runner::Container> chosen;
  for (const std::string& name : flags.names) chosen.push_back(store.find(name));
  if (!flags.names.empty()) return chosen;
  chosen = store.list();
  if (!flags.all)
    std::erase_if(chosen, [](const auto& each) { return each.state().status != runner::Status::running; });
  std::sort(chosen.begin(), chosen.end(),
            [](const auto& a, const auto& b) { return a.config().created > b.config().created; });
  return chosen;
}

Samples sample(const std::vector<runner::Container>& containers) {
  Samples samples;
  for (const runner::Container& container : containers)
    samples[container.config().id] = runner::read_stats(container);
  return samples;
}

void print_sample(const std::vector<runner::Container>& containers, const Samples& before,
                  const Samples& after, const StatsFlags& flags) {
  std::vector<Json> rows;
  for (const runner::Container& container : containers)
    rows.push_back(row_of(container.config(), before, after, flags.whole));
  if (!flags.once && ::isatty(STDOUT_FILENO) == 1) fmt::print("\x1b[H\x1b[J");  // home, and clear below
  print_listing(rows,
                {{"CONTAINER ID", "ID"},
                 {"NAME", "Name"},
                 {"CPU %", "CPUPerc"},
                 {"MEM USAGE / LIMIT", "MemUsage"},
                 {"MEM %", "MemPerc"},
                 {"NET I/O", "NetIO"},
                 {"BLOCK I/O", "BlockIO"},
                 {"PIDS", "PIDs"}},
                flags.format);
  std::fflush(stdout);
}

}  // namespace

int command_stats(const Context& context, const Arguments& arguments) {
  StatsFlags flags;
  Parser parser("stats", "[flags] [CONTAINER …]",
                "Shows what running containers take, every second until interrupted.");
  parser.add_option("container", flags.names, "names or ids (all that run)");
  parser.add_flag("-a,--all", flags.all, "stopped ones too");
  parser.add_flag("--no-stream", flags.once, "one sample only, taken over a second");
  parser.add_option("-i,--interval", flags.period, "seconds between two of them (1)")
      .within(1, 86400)
      .type_name("SECONDS");
  parser.add_flag("--no-trunc", flags.whole, "whole ids");
  parser.add_option("--format", flags.format, "json, jsonl, or a template: '{{.Name}} {{.CPUPerc}}'")
      .type_name("FORMAT");
  parser.parse(arguments);
  require_root("stats");

  const runner::ContainerStore store = open_containers(context);
  Samples before = sample(choose(store, flags));
  do {
    std::this_thread::sleep_for(std::chrono::seconds(flags.period));  // what is shown is what was taken in it
    const std::vector<runner::Container> containers = choose(store, flags);
    Samples after = sample(containers);
    print_sample(containers, before, after, flags);
    before = std::move(after);
  } while (!flags.once);
  return 0;
}

}  // namespace lay::cli
