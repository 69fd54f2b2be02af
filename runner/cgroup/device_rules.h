#pragma once

#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// The same rules in the order given, as both versions of cgroups can hold them: with every rule about all
/// types that is not about everything ("a" with numbers, or less than rwm) as one for block and one for
/// character devices, since v1 and the program would read it as "everything"; and beginning with one about
/// everything, so that what none matches is refused. Throws invalid on an unknown type, an access that is not
/// of the letters r, w and m, and numbers that no device has.
std::vector<DeviceRule> normal_device_rules(const std::vector<DeviceRule>& rules);

}  // namespace lay::runner
