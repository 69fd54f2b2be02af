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

/// --env-host, --http-proxy, --unsetenv and --unsetenv-all of run: what a container has beneath the variables
/// that are given one by one.
struct BaseEnvironmentFlags {
  std::vector<std::string> unset;
  bool unsets_all = false;
  bool takes_hosts = false;
  bool takes_proxies = false;

  void add_to(Parser& parser);
  /// To be called before the image's are put over them.
  void put_beneath(std::vector<std::string>& env) const;
  /// To be called when the image's are there. Throws invalid.
  void take_from(std::vector<std::string>& env) const;
};

}  // namespace lay::cli
