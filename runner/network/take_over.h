#pragma once

#include <optional>
#include <span>
#include <string>

#include "network/leases.h"
#include "network/names.h"

namespace lay::runner {

/// A container that is about to be there.
struct Successor {
  std::span<const PortMapping> ports;
  std::string mac;  ///< empty: the one that is made of the address
};

/// Clears what ended containers left on a network, where it is in the way of the successor or nobody else
/// clears it soon (bridge_linger.h). Returns the address of an ended one that published the same ports, to be
/// taken over by LeaseBook::take_over(): then the tables need not change, and so nobody waits for the grace
/// period of a deleted element. Called under LeaseBook::lock().
std::optional<Ipv4> take_from_ended_holder(const std::string& run, const NetworkNames& names,
                                           const LeaseBook& leases, const Successor& successor);

}  // namespace lay::runner
