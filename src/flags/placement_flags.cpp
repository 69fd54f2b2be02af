#include "flags/placement_flags.h"

#include "base/error.h"
#include "base/text.h"
#include "runner/cgroup_path.h"

namespace lay::cli {

void PlacementFlags::add_to(Parser& parser) {
  parser.add_option("--cgroup-parent", cgroup_parent, "put it beneath this cgroup of yours (lay)")
      .type_name("PATH");
  parser.add_option("--rdt-class", rdt_class, "put it into this class of resctrl (cache, memory bandwidth)")
      .type_name("CLASS");
  rdt.add_to(parser);
  parser
      .add_option("--oom-score-adj", oom_score_adj,
                  "killed first (1000) or last (-1000) when memory is short")
      .type_name("N");
}

void PlacementFlags::apply(runner::ContainerConfig& config) const {
  constexpr int kMostScore = 1000;
  if (oom_score_adj && (*oom_score_adj < -kMostScore || *oom_score_adj > kMostScore))
    throw Error::make(Errc::invalid, "--oom-score-adj {} is not between -1000 and 1000", *oom_score_adj)
        .with_hint("500 is killed before others, -500 after them");
  config.spec.process.oom_score_adj = oom_score_adj;
  if (!rdt_class.empty()) config.spec.linux_.intel_rdt = runner::IntelRdt{.class_id = rdt_class};
  rdt.apply(config.spec.linux_.intel_rdt);
  if (cgroup_parent.empty()) return;
  with_context("--cgroup-parent", [&] {
    config.spec.linux_.cgroups_path =
        "/" + join(runner::parse_cgroup_path(cgroup_parent), "/") + "/" + config.id;
  });
}

}  // namespace lay::cli
