#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// --attach, --sig-proxy, --preserve-fds, --timeout and --pidfile of run: how lay stands beside the command.
struct SessionFlags {
  std::vector<std::string> attached;
  bool passes_signals = true;
  unsigned preserved_fds = 0;
  std::optional<unsigned> timeout;
  std::string pid_file;

  void add_to(Parser& parser);
  /// Whether any stream was named, which goes with a command in front alone.
  bool attaches() const { return !attached.empty(); }
  /// The runtime is settled already. Throws invalid and unsupported, with hints.
  void apply(runner::ContainerConfig& config) const;
};

}  // namespace lay::cli
