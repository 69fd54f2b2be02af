#pragma once

#include <string>

#include "flags/parser.h"
#include "layerstore/descriptor.h"

namespace lay::cli {

/// --platform, and the same in the parts that podman has: --os, --arch, --variant.
class PlatformFlags {
 public:
  void add_to(Parser& parser);
  /// This machine's without a flag, whose system and architecture stand for what no part says. Throws
  /// invalid, and UsageError where the whole and a part are given.
  layerstore::Platform value() const;

 private:
  std::string whole_;
  std::string os_;
  std::string architecture_;
  std::string variant_;
};

}  // namespace lay::cli
