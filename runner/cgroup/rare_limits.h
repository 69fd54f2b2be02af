#pragma once

#include <string>
#include <vector>

#include "cgroup/group.h"
#include "runner/spec.h"

/// Limits that only a config.json of others asks for: runtime-spec config-linux.md, "Network", "RDMA",
/// "Memory" (kernel, kernelTCP, useHierarchy, checkBeforeUpdate).
namespace lay::runner {

/// net_cls and net_prio of v1; rdma of both.
void set_network_and_rdma(const std::vector<CgroupGroup>& groups, const Resources& resources);

/// memory.kernelTCP of v1. Throws unsupported for memory.kernel, which no kernel limits since 5.16, and for
/// memory.useHierarchy that is false, which no group can be since 5.11.
void set_obsolete_memory(const std::vector<CgroupGroup>& groups, const ObsoleteMemory& memory);

/// memory.checkBeforeUpdate: refuses a limit below what the group has now, which would else kill.
void check_memory_before_update(const std::vector<CgroupGroup>& groups, const Resources& resources);

/// The controllers of v2 for these.
std::vector<std::string> rare_controllers(const Resources& resources);

}  // namespace lay::runner
