#pragma once

#include <string>

#include "flags/parser.h"
#include "layerstore/descriptor.h"

namespace lay::cli {

/// --platform, or --os, --arch and --variant, for which machine an image shall be.
struct PlatformFlags {
  std::string platform;
  std::string os;
  std::string arch;
  std::string variant;

  void add_to(Parser& parser);
  /// "os/architecture[/variant]"; empty when none was asked for. Throws UsageError when both ways are used.
  std::string text() const;
  /// This machine's when none was asked for. Throws invalid, too.
  layerstore::Platform value() const;
};

}  // namespace lay::cli
