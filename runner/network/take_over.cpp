#include "network/take_over.h"

#include <algorithm>
#include <vector>

#include "network/bridge.h"
#include "network/bridge_linger.h"

namespace lay::runner {

namespace {

/// One that outlived its supervisor still has its address; and neighbours know the address with its MAC.
bool can_take_over(const LeaseRecord& record, const Successor& successor) {
  return record.has_ended && record.address6.empty() && record.mac == successor.mac &&
         std::ranges::equal(record.ports, successor.ports);
}

bool has_one_of(const LeaseRecord& record, std::span<const PortMapping> ports) {
  return std::ranges::any_of(record.ports, [&](const PortMapping& left) {
    return std::ranges::any_of(ports, [&](const PortMapping& port) {
      return left.host_port == port.host_port && left.protocol == port.protocol;
    });
  });
}

}  // namespace

std::optional<Ipv4> take_from_ended_holder(const std::string& run, const NetworkNames& names,
                                           const LeaseBook& leases, const Successor& successor) {
  std::vector<DeadLease> dead = leases.dead();
  if (dead.empty()) return std::nullopt;
  if (is_bridge_tidied_soon(run)) {
    const auto has_one = [&](const DeadLease& left) { return has_one_of(left.record, successor.ports); };
    const auto in_way = std::ranges::find_if(dead, has_one);
    if (in_way == dead.end()) return std::nullopt;
    if (can_take_over(in_way->record, successor) && std::none_of(in_way + 1, dead.end(), has_one))
      return in_way->lease.address;
  }
  dead.clear();  // their locks
  clear_dead_leases(names, leases);
  return std::nullopt;
}

}  // namespace lay::runner
