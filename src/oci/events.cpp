#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "oci/oci.h"
#include "options.h"

namespace lay::cli {

namespace {

void print_event(const std::string& id, const char* type, const Json& data) {
  Json event{{"type", type}, {"id", id}};
  if (!data.empty()) event["data"] = data;
  fmt::print("{}\n", dump_json(event));
  std::fflush(stdout);
}

bool has_ended(const runner::OciStore& store, const std::string& id) {
  try {
    return store.find(id).status() == runner::OciStatus::stopped;
  } catch (const Error&) {
    return true;
  }
}

/// Prints what is counted at each interval, and tells of processes killed for want of memory in between.
void follow(const runner::OciStore& store, const std::string& id, std::chrono::seconds interval) {
  constexpr std::chrono::milliseconds kStep(100);
  std::uint64_t killed = runner::oci_oom_kills(store, id);
  for (auto next = std::chrono::steady_clock::now(); !has_ended(store, id);
       std::this_thread::sleep_for(kStep)) {
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
  const auto parser = make_parser("oci events", "[flags] ID", "Prints what a container takes, as JSON.");
  parser->add_flag("--stats", is_once, "once");
  parser->add_option("--interval", interval, "time between two")->type_name("SECONDS");
  parser->add_option("id", id)->required();
  parse(*parser, arguments);
  if (interval.ends_with('s')) interval.pop_back();
  const auto seconds = parse_number(interval);
  if (!seconds || *seconds == 0)
    throw Error::make(Errc::invalid, "'{}' is no interval", printable(interval)).with_hint("--interval 5s");
  const runner::OciStore store = context.store();
  if (is_once)
    print_event(id, "stats", runner::oci_stats(store, id));
  else
    follow(store, id, std::chrono::seconds(*seconds));
  return 0;
}

}  // namespace lay::cli
