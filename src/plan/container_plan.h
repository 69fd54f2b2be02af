#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flags/environment_flags.h"
#include "flags/isolation_flags.h"
#include "flags/log_flags.h"
#include "flags/mount_flags.h"
#include "flags/namespace_flags.h"
#include "flags/network_flags.h"
#include "flags/note_flags.h"
#include "flags/placement_flags.h"
#include "flags/resource_flags.h"
#include "flags/runtime_flags.h"
#include "flags/session_flags.h"
#include "flags/surroundings_flags.h"
#include "layerstore/image_config.h"
#include "runner/container.h"

namespace lay::cli {

/// What the user asked of `lay run`, beside the image.
struct RunOptions {
  std::string name;
  std::vector<std::string> command;  ///< words behind the image
  EnvironmentFlags environment;
  BaseEnvironmentFlags base_environment{};
  MountFlags mounts;
  std::vector<std::string> ports;
  NoteFlags notes;
  std::optional<std::string> entrypoint;
  std::optional<std::string> workdir;
  std::optional<std::string> user;
  std::string hostname;
  std::vector<std::string> networks;  ///< bridge when empty
  NetworkFlags network_flags;
  LogFlags log;
  ResourceFlags resources;
  PlacementFlags placement;
  std::optional<std::string> stop_signal;
  std::optional<unsigned> stop_timeout;
  IsolationFlags isolation;
  NamespaceFlags namespaces;
  RuntimeFlags runtime;
  SurroundingsFlags surroundings;
  SessionFlags session{};
  bool terminal = false;
  bool interactive = false;
  bool auto_remove = false;
};

/// Image defaults and flags put together into what the runner creates. Pure but for `-e NAME`, which reads
/// the environment, and relative volume paths, which start at the current folder. Throws invalid, with hints.
/// Lowers, and notes of the image, are left to the caller.
runner::ContainerConfig plan_container(const layerstore::ImageConfig& image, const RunOptions& options);

}  // namespace lay::cli
