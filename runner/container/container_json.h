#pragma once

#include "base/json.h"
#include "runner/container.h"

/// container.json and state.json. The spec is a document of its own, config.json.
namespace lay::runner {

Json to_json(const ContainerConfig& config);
/// Everything but the spec; throws invalid.
ContainerConfig parse_container_config(const Json& json);

Json to_json(const ContainerState& state);
ContainerState parse_container_state(const Json& json);

}  // namespace lay::runner
