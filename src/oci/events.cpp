#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "flags/options.h"
#include "oci/oci.h"

namespace lay::cli {

namespace {

void print_event(const std::string& id, const char* type, const Json& data) {
  Json event{{"type", type}, {"id", id}};
  if (!data.empty()) event["data"] = data;
  fmt::print("{}\n", dump_json(event));
  std::fflush(stdout);
}

/// "400ms", "5s", "1m", "1h"; a number alone is seconds.
std::chrono::milliseconds parse_interval(const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits{
      {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  constexpr std::uint64_t kLongest = 1'000'000;  // of any unit
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(std::string_view(text).substr(0, digits));
  for (const auto& [unit, milliseconds] : kUnits)
    if (number && *number > 0 && *number <= kLongest && unit == std::string_view(text).substr(digits))
      return std::chrono::milliseconds(*number * milliseconds);
  throw Error::make(Errc::invalid, "'{}' is no interval", printable(text))
      .with_hint("--interval 5s, 400ms, 1m or 1h");
}

bool has_ended(const runner::OciStore& store, const std::string& id) {
  try {
    return store.find(id).status() == runner::OciStatus::stopped;
  } catch (const Error&) {
    return true;
  }
}

/// Prints what is counted at each interval, and tells of processes killed for want of memory in between.
void follow(const runner::OciStore& store, const std::string& id, std::chrono::milliseconds interval) {
  const auto step = std::min(interval, std::chrono::milliseconds(100));
  std::uint64_t killed = runner::oci_oom_kills(store, id);
  for (auto next = std::chrono::steady_clock::now(); !has_ended(store, id);
       std::this_thread::sleep_for(step)) {
    const std::uint64_t now_killed = runner::oci_oom_kills(store, id);
    if (now_killed > killed) print_event(id, "oom", Json::object());
    killed = now_killed;
    if (std::chrono::steady_clock::now() < next) continue;
    next += interval;
    print_event(id, "stats", runner::oci_stats(store, id));
  }
}

}  // namespace

int oci_command_events(const OciContext& context, const Arguments& arguments) {
  std::string id;
  std::string interval = "5s";
  bool is_once = false;
  Parser parser("oci events", "[flags] ID", "Prints what a container takes, as JSON.");
  parser.add_flag("--stats", is_once, "once");
  parser.add_option("--interval", interval, "time between two").type_name("TIME");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  const std::chrono::milliseconds between = parse_interval(interval);
  const runner::OciStore store = context.store();
  if (is_once)
    print_event(id, "stats", runner::oci_stats(store, id));
  else
    follow(store, id, between);
  return 0;
}

}  // namespace lay::cli
