#pragma once

#include <optional>
#include <string>

#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --l3-cache-schema and --mem-bw-schema of run and update, as runc's update has them: what a container gets
/// of the processors' cache and of the memory bandwidth, through a class of resctrl of its own.
struct RdtFlags {
  std::string l3_schema;
  std::string memory_schema;

  void add_to(Parser& parser);
  bool are_given() const { return !l3_schema.empty() || !memory_schema.empty(); }
  /// Puts what was given over `rdt`. Throws invalid, with a hint, where it is a class with a name, which
  /// others are in, too.
  void apply(std::optional<runner::IntelRdt>& rdt) const;
};

}  // namespace lay::cli
