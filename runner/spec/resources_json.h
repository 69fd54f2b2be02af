#pragma once

#include "runner/spec.h"

/// The parts of "linux.resources" that few containers have (runtime-spec config-linux.md).
namespace lay::runner {

/// "linux.resources" as a whole; absent parts say nothing. Throws invalid, unsupported.
Resources parse_resources(const Json& json);

/// Adds blockIO, hugepageLimits, network, rdma, unified and the rarer members of cpu and memory to `json`
/// where they say something.
void add_rare_resources(Json& json, const Resources& resources);
void parse_rare_resources(const Json& json, Resources& resources);

}  // namespace lay::runner
