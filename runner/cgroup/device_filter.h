#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "runner/spec.h"

namespace lay::runner {

/// Attaches a program, in place of all that the group has, that holds a cgroup v2 to the device rules, as
/// v1's devices controller does (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE; cgroup-v2.rst "Device controller"): of
/// the rules that match the last one counts; what none matches is refused. The program goes with the group.
void replace_device_filters(const UniqueFd& group, const std::vector<DeviceRule>& rules);

}  // namespace lay::runner
