#pragma once

#include <string>

#include "base/linger.h"
#include "network/leases.h"
#include "network/names.h"

namespace lay::runner {

/// Has bridge and tables removed once no container of RUN has needed them for a moment (base/linger.h), and
/// until then what the tables hold of ended ones: removing a bridge takes the kernel about 40 ms (it waits
/// for every CPU to let go of the link) and making one several more. Dead leases are cleared soon, by the
/// same process: as long as a deleted element waits for its grace period (up to 25 ms), whoever closes a
/// netfilter socket waits for it, and keeps all others from the tables meanwhile.
///
/// Called under LeaseBook::lock() by whoever gave a lease back. `run` is absolute.
void tidy_bridge_later(const std::string& run, const NetworkNames& names);

/// Whether somebody will clear dead leases soon.
bool is_bridge_tidied_soon(const std::string& run);

}  // namespace lay::runner
