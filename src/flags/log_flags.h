#pragma once

#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// --log-driver and --log-opt of run: whether what a container writes is kept, and how much of it.
struct LogFlags {
  std::string driver;
  std::vector<std::string> options;

  void add_to(Parser& parser);
  /// Throws invalid and unsupported, with hints.
  runner::LogConfig parse() const;
};

}  // namespace lay::cli
