#pragma once

#include <vector>

#include "cgroup/group.h"
#include "runner/spec.h"

namespace lay::runner {

/// Weights and rates of block devices, by v1's blkio or v2's io (blkio-controller.rst, cgroup-v2.rst "IO").
/// Throws unsupported where the controller is missing, and for weights also where no disk has a scheduler
/// that heeds them: BFQ, or v2's io.cost.
void set_block_io(const std::vector<CgroupGroup>& groups, const BlockIo& block_io);

}  // namespace lay::runner
