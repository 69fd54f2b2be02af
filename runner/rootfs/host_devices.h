#pragma once

#include <string>
#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// The device `host`, or every device in that folder and below, as it is to appear at or below `inside`, with
/// its mode and owners. Pseudo-terminals, shared memory and message queues are the container's own and left
/// out; symlinks are followed only as `host` itself. Throws not_found, and invalid for what is no device.
std::vector<Device> find_devices(const std::string& host, const std::string& inside);

}  // namespace lay::runner
