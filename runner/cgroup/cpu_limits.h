#pragma once

#include <vector>

#include "cgroup/group.h"
#include "runner/spec.h"

namespace lay::runner {

/// runtime-spec config-linux.md, "CPU", but for the cpuset: weight, quota and what goes with them. Throws
/// unsupported where no controller of this machine has what is asked for; invalid what the kernel refuses.
void set_cpu_limits(const std::vector<CgroupGroup>& groups, const Resources& resources);

}  // namespace lay::runner
