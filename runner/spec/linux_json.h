#pragma once

#include "base/json.h"
#include "runner/spec.h"

/// The parts of "linux" that few containers have: runtime-spec config-linux.md, "Rootfs Mount Propagation",
/// "Mount Label", "Personality", "IntelRdt".
namespace lay::runner {

void parse_rare_linux(const Json& json, Linux& linux_part);
void add_rare_linux(Json& json, const Linux& linux_part);

}  // namespace lay::runner
