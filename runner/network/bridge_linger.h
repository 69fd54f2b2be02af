#pragma once

#include <string>

#include "network/leases.h"
#include "network/names.h"

namespace lay::runner {

/// Has bridge and tables removed once no container of RUN has needed them for a moment (base/linger.h), and
/// until then what the tables hold of ended ones:
/// removing a bridge takes the kernel about 40 ms (it waits for every CPU to let go of the link) and making
/// one several more.
///
/// Called under LeaseBook::lock() by whoever gave a lease back. `run` is absolute.
void tidy_bridge_later(const std::string& run, const NetworkNames& names);

}  // namespace lay::runner
