#pragma once

#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --cap-add, --security-opt, --device, --sysctl … of run: what a container may do beyond or short
/// of the defaults, spelled as docker and podman have it.
struct IsolationFlags {
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  std::vector<std::string> security_options;
  std::vector<std::string> devices;
  std::vector<std::string> device_rules;
  std::vector<std::string> sysctls;
  std::vector<std::string> ulimits;
  std::vector<std::string> groups;
  std::vector<std::string> landlock;
  std::string shm_size;
  bool privileged = false;
  bool has_init = false;
  bool read_only = false;

  void add_to(Parser& parser);
  /// Puts the flags over `spec`. Throws invalid for what is not understood, and unsupported for what this
  /// machine or lay does not have: nothing that was asked for is left out silently.
  void apply(runner::Spec& spec) const;
};

}  // namespace lay::cli
