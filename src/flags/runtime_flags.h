#pragma once

#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// Flags of `run` that hand the container to another OCI runtime.
struct RuntimeFlags {
  std::string runtime;
  std::vector<std::string> flags;

  void add_to(Parser& parser);
  /// Throws not_found, with a hint, when there is no such program.
  runner::RuntimeChoice parse() const;
};

}  // namespace lay::cli
