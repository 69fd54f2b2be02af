#pragma once

#include <string>

#include "leases.h"
#include "network_names.h"

namespace lay::runner {

/// Has bridge and table removed once no container of RUN has needed them for a moment (0.3 s).
///
/// Removing a bridge takes the kernel about 40 ms (it waits for every CPU to let go of the link) and making
/// one several more. Neither belongs on the path of somebody who waits for a container to end, or who starts
/// one after the other: a process of its own does it, one for each RUN however many containers end. When it
/// is killed, the next container or sweep finds what is left.
///
/// Called under LeaseBook::lock() by whoever gave the last lease back. `run` is absolute.
void remove_bridge_later(const std::string& run, const NetworkNames& names);

}  // namespace lay::runner
