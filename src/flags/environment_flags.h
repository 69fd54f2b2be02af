#pragma once

#include <string>
#include <vector>

#include "flags/parser.h"

namespace lay::cli {

/// --env and --env-file of run and exec.
struct EnvironmentFlags {
  std::vector<std::string> settings;  ///< "NAME=value", or "NAME" for the value it has here
  std::vector<std::string> files;

  void add_to(Parser& parser);
  /// Puts the lines of the files into `env`, and then the settings, which so win. Throws invalid, with file
  /// and line, and what keeps a file from being read.
  void put_into(std::vector<std::string>& env) const;
};

}  // namespace lay::cli
