#include "delegate/dialect.h"

#include <algorithm>
#include <filesystem>

#include "cgroup/layout.h"

namespace lay::runner {

namespace {

/// v2's hierarchy where v1's are beside it; empty elsewhere.
std::string v2_beside_v1() {
  std::string v2;
  bool has_v1 = false;
  for (const CgroupHierarchy& each : find_cgroup_hierarchies()) {
    if (each.version == CgroupVersion::v1)
      has_v1 = true;
    else
      v2 = each.mount_point;
  }
  return has_v1 ? v2 : "";
}

}  // namespace

Dialect dialect_of(const std::string& program, NetworkMode network) {
  const std::string name = std::filesystem::path(program).filename();
  if (name == "runsc") {
    Dialect dialect{.flags = {"--ignore-cgroups"},
                    .entry = GroupEntry::before_create,
                    .mounts_cgroups = false,
                    .unknown_capabilities = {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}};
    if (network == NetworkMode::none) dialect.flags.emplace_back("--network=none");
    if (network == NetworkMode::host) dialect.flags.emplace_back("--network=host");
    return dialect;
  }
  if (name == "crun") return {.hidden = v2_beside_v1()};  // it refuses machines that have both
  return {};
}

void fit_process(const Dialect& dialect, Process& process) {
  const auto is_unknown = [&](const std::string& name) {
    return std::ranges::find(dialect.unknown_capabilities, name) != dialect.unknown_capabilities.end();
  };
  Capabilities& sets = process.capabilities;
  for (std::vector<std::string>* set :
       {&sets.bounding, &sets.effective, &sets.permitted, &sets.inheritable, &sets.ambient})
    std::erase_if(*set, is_unknown);
}

}  // namespace lay::runner
