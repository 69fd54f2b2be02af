#pragma once

#include <string>

#include "flags/options.h"
#include "flags/parser.h"
#include "flags/platform_flags.h"

namespace lay::cli {

enum class PullPolicy { missing, always, never };

/// What run wants to know before it pulls: --pull, --quiet, --platform and the flags of connections.
struct RunPullFlags {
  std::string when = "missing";
  bool quiet = false;
  PlatformFlags platform;
  ConnectionFlags connection;

  void add_to(Parser& parser);
  /// Throws UsageError.
  PullPolicy policy() const;
};

}  // namespace lay::cli
