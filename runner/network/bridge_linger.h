#pragma once

#include <string>

#include "base/linger.h"
#include "network/leases.h"
#include "network/names.h"

namespace lay::runner {

/// Has bridge and tables removed once no container of RUN has needed them for a moment (base/linger.h), and
/// until then what the tables hold of ended ones:
/// removing a bridge takes the kernel about 40 ms (it waits for every CPU to let go of the link) and making
/// one several more. With Urgency::at_once dead leases are cleared at once, by that process: who deletes from
/// a table waits for a grace period (5 to 15 ms) when it closes its socket, or ends.
///
/// Called under LeaseBook::lock() by whoever gave a lease back. `run` is absolute.
void tidy_bridge_later(const std::string& run, const NetworkNames& names, Urgency urgency);

}  // namespace lay::runner
