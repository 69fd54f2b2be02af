#pragma once

#include <optional>
#include <string>

#include "flags/parser.h"
#include "flags/rdt_flags.h"
#include "runner/container.h"

namespace lay::cli {

/// --cgroup-parent, --rdt-class, --l3-cache-schema, --mem-bw-schema and --oom-score-adj of run: where a
/// container stands among others.
struct PlacementFlags {
  std::string cgroup_parent;
  std::string rdt_class;
  RdtFlags rdt;
  std::optional<int> oom_score_adj;

  void add_to(Parser& parser);
  /// Throws invalid, with hints. The container has its id already.
  void apply(runner::ContainerConfig& config) const;
};

}  // namespace lay::cli
