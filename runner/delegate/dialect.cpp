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

RuntimeFamily family_of(const std::string& program) {
  const std::string name = std::filesystem::path(program).filename();
  if (name == "runsc") return RuntimeFamily::runsc;
  return name == "crun" ? RuntimeFamily::crun : RuntimeFamily::runc;
}

Dialect dialect_of(const std::string& program, NetworkMode network) {
  const RuntimeFamily family = family_of(program);
  if (family == RuntimeFamily::runsc) {
    Dialect dialect{.flags = {"--ignore-cgroups"},
                    .entry = GroupEntry::before_create,
                    .mounts_cgroups = false,
                    .has_own_names = true,
                    .unknown_capabilities = {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}};
    if (network == NetworkMode::none) dialect.flags.emplace_back("--network=none");
    if (network == NetworkMode::host) dialect.flags.emplace_back("--network=host");
    return dialect;
  }
  if (family != RuntimeFamily::crun) return {};
  const std::string v2 = v2_beside_v1();  // crun refuses machines that have both
  if (v2.empty()) return {};
  return {.entry = GroupEntry::v2_before_create, .hidden = v2};
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

void fit_spec(const Dialect& dialect, Spec& spec) {
  fit_process(dialect, spec.process);
  if (!dialect.mounts_cgroups)
    std::erase_if(spec.mounts, [](const Mount& mount) { return mount.type == "cgroup"; });
  if (!dialect.has_own_names) return;
  std::erase_if(spec.linux_.namespaces,
                [](const Namespace& entry) { return entry.type == NamespaceType::uts; });
  spec.linux_.namespaces.push_back({NamespaceType::uts, {}});
}

}  // namespace lay::runner
