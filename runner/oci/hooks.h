#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

/// Programs that a bundle has run at points of its container's life: runtime-spec config.md, "POSIX-platform
/// Hooks".
namespace lay::runner {

struct Hook {
  std::string path;               ///< absolute
  std::vector<std::string> args;  ///< with argv[0]; empty: the path alone
  std::optional<std::vector<std::string>> env;
  std::optional<std::chrono::seconds> timeout;
};

struct Hooks {
  std::vector<Hook> prestart;          ///< in the runtime's namespaces, while the container is created
  std::vector<Hook> create_runtime;    ///< likewise, after those
  std::vector<Hook> create_container;  ///< in the container's namespaces, before its root is entered
  std::vector<Hook> start_container;   ///< in the container, before its command
  std::vector<Hook> poststart;         ///< in the runtime's namespaces, when the command is executed
  std::vector<Hook> poststop;          ///< in the runtime's namespaces, when the container is gone
};

/// "hooks" of a configuration. Throws invalid for a path that is missing or not absolute, a timeout of 0.
Hooks parse_hooks(const Json& config);

/// Where a hook begins, and what it has when its configuration names no environment.
enum class HookSide {
  runtime,    ///< in the bundle's folder, or "/" when that is gone; the environment of this process
  container,  ///< where this process is; no environment
};

/// Runs one after the other, the container's state on standard input; what they print is nobody's. Throws
/// when one fails, or takes longer than it may and is killed.
void run_hooks(const std::vector<Hook>& hooks, const char* kind, const Json& state,
               HookSide side = HookSide::runtime);

}  // namespace lay::runner
