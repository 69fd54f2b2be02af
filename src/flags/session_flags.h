#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// --attach, --sig-proxy, --preserve-fds, --timeout and --pidfile of run: how lay stands beside the command.
/// And --restart and --no-healthcheck, which may ask for what lay does anyhow.
struct SessionFlags {
  std::vector<std::string> attached;
  bool passes_signals = true;
  unsigned preserved_fds = 0;
  std::optional<unsigned> timeout;
  std::string pid_file;
  std::string restart{};
  bool makes_no_checks = true;

  void add_to(Parser& parser);
  /// Whether any stream was named, which goes with a command in front alone.
  bool attaches() const { return !attached.empty(); }
  /// The runtime is settled already. Throws invalid and unsupported, with hints.
  void apply(runner::ContainerConfig& config) const;

 private:
  void require_known_ways() const;
};

}  // namespace lay::cli
