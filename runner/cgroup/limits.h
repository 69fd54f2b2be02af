#pragma once

#include <vector>

#include "cgroup/group.h"
#include "runner/spec.h"

namespace lay::runner {

/// The weight of a group that was given none (cgroup-v1, "cpu.shares").
constexpr std::uint64_t kDefaultShares = 1024;

/// Writes the limits of `resources` into the groups, each where its controller is.
/// Throws unsupported, naming controller and flag, when no group has the controller a limit needs. Swap is
/// limited where the kernel accounts for it. Device rules are v1's devices controller's or, without it, a
/// program's.
void set_limits(const std::vector<CgroupGroup>& groups, const Resources& resources);

/// Whether set_limits() might throw, or have an effect on what is done before it: all but a number of
/// processes and device rules, of which v1 has the controllers. Throws invalid for rules that nobody could
/// set.
bool may_be_refused(const Resources& resources);

/// As set_limits() for groups in use, all or nothing: when one is refused, those before it are taken back.
/// Device rules, if there are any, come in place of those in force; v2's controllers stay as they are.
void set_live_limits(const CgroupName& name, const Resources& resources);

/// The controllers of v2 that a group needs for these limits, for make_group(): those whose numbers `stats`
/// shows, and what else is asked for.
std::vector<std::string> controllers_for(const Resources& resources);

/// How many processes the kernel killed for want of memory, as the groups' memory
/// controller counted; 0 without one.
std::uint64_t count_oom_kills(const std::vector<CgroupGroup>& groups);

/// A rule as devices.allow and devices.deny read it: "c 1:3 rwm", "c *:* rwm", "a". cgroup-v1/devices.rst.
std::string format_device_rule(const DeviceRule& rule);

}  // namespace lay::runner
