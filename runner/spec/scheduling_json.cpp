#include "spec/scheduling_json.h"

#include <array>

#include "process/scheduling.h"
#include "spec/json_fields.h"

namespace lay::runner {

namespace {

constexpr std::array<std::pair<IoPriority::Class, std::string_view>, 3> kClasses{{
    {IoPriority::Class::realtime, "IOPRIO_CLASS_RT"},
    {IoPriority::Class::best_effort, "IOPRIO_CLASS_BE"},
    {IoPriority::Class::idle, "IOPRIO_CLASS_IDLE"},
}};

IoPriority parse_io_priority(const Json& json) {
  IoPriority result{
      .level_class = value_of_word(kClasses, json_string(json, "class"), "class"),
      .priority = number<int>(json, "priority").value_or(0),
  };
  if (result.priority < 0 || result.priority > 7)
    throw Error::make(Errc::invalid, "'priority' is {}, expected 0 (first) to 7", result.priority);
  return result;
}

Scheduler parse_scheduler(const Json& json) {
  Scheduler result{.policy = json_string(json, "policy"),
                   .nice = number<std::int32_t>(json, "nice").value_or(0),
                   .priority = number<std::int32_t>(json, "priority").value_or(0),
                   .flags = json_strings(json, "flags"),
                   .runtime = number<std::uint64_t>(json, "runtime").value_or(0),
                   .deadline = number<std::uint64_t>(json, "deadline").value_or(0),
                   .period = number<std::uint64_t>(json, "period").value_or(0)};
  check_scheduler(result);
  return result;
}

Json to_json(const Scheduler& scheduler) {
  Json json{{"policy", scheduler.policy}};
  if (scheduler.nice != 0) json["nice"] = scheduler.nice;
  if (scheduler.priority != 0) json["priority"] = scheduler.priority;
  if (!scheduler.flags.empty()) json["flags"] = scheduler.flags;
  if (scheduler.runtime != 0) json["runtime"] = scheduler.runtime;
  if (scheduler.deadline != 0) json["deadline"] = scheduler.deadline;
  if (scheduler.period != 0) json["period"] = scheduler.period;
  return json;
}

}  // namespace

void parse_scheduling(const Json& json, Process& process) {
  if (const Json* io = json_find(json, "ioPriority"))
    process.io_priority = with_context("ioPriority", [&] { return parse_io_priority(*io); });
  if (const Json* scheduler = json_find(json, "scheduler"))
    process.scheduler = with_context("scheduler", [&] { return parse_scheduler(*scheduler); });
  const Json& affinity = part(json, "execCPUAffinity");
  process.exec_cpu_affinity = {.initial = json_string_or(affinity, "initial", {}),
                               .final_ = json_string_or(affinity, "final", {})};
  for (const std::string* list : {&process.exec_cpu_affinity.initial, &process.exec_cpu_affinity.final_})
    with_context("execCPUAffinity", [&] { parse_cpu_list(*list); });
}

void add_scheduling(Json& json, const Process& process) {
  if (process.io_priority)
    json["ioPriority"] = {{"class", word_of_value(kClasses, process.io_priority->level_class)},
                          {"priority", process.io_priority->priority}};
  if (process.scheduler) json["scheduler"] = to_json(*process.scheduler);
  const CpuAffinity& affinity = process.exec_cpu_affinity;
  if (!affinity.initial.empty()) json["execCPUAffinity"]["initial"] = affinity.initial;
  if (!affinity.final_.empty()) json["execCPUAffinity"]["final"] = affinity.final_;
}

}  // namespace lay::runner
