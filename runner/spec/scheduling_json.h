#pragma once

#include "base/json.h"
#include "runner/spec.h"

/// The parts of "process" that say when and where it is given a processor: runtime-spec config.md, "I/O
/// Priority", "Scheduler", "execCPUAffinity".
namespace lay::runner {

void parse_scheduling(const Json& json, Process& process);
void add_scheduling(Json& json, const Process& process);

}  // namespace lay::runner
