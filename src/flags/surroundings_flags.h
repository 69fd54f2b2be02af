#pragma once

#include <string>

#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --umask and --tz of run: what a command finds set when it begins.
struct SurroundingsFlags {
  std::string umask;
  std::string time_zone;

  void add_to(Parser& parser);
  /// The mounts of users are in `spec` already: one on /etc/localtime stays. Throws invalid and not_found,
  /// with hints.
  void apply(runner::Spec& spec) const;
};

/// The zone that --tz gave it; empty without.
std::string time_zone_of(const runner::Spec& spec);

}  // namespace lay::cli
