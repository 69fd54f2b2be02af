#pragma once

#include <string>

#include "flags/parser.h"
#include "layerstore/descriptor.h"

namespace lay::cli {

/// The platform that a flag names, else DOCKER_DEFAULT_PLATFORM, else this machine's. Throws invalid: so it
/// is asked for only where a platform is chosen.
layerstore::Platform platform_or_default(const std::string& flag);

/// --platform, or --os, --arch and --variant, for which machine an image shall be.
struct PlatformFlags {
  std::string platform;
  std::string os;
  std::string arch;
  std::string variant;

  void add_to(Parser& parser);
  /// "os/architecture[/variant]", which DOCKER_DEFAULT_PLATFORM may ask for too; empty when nothing does.
  /// Throws UsageError when both ways are used, invalid for that variable.
  std::string text() const;
  /// This machine's when none was asked for. Throws invalid, too.
  layerstore::Platform value() const;
};

}  // namespace lay::cli
