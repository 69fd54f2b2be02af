#include "network/bridge_linger.h"

#include <functional>
#include <memory>

#include "base/linger.h"
#include "network/bridge.h"

namespace lay::runner {

void tidy_bridge_later(const std::string& run, const NetworkNames& names, Urgency urgency) {
  const auto prepare = [run, names, urgency]() -> Tidying {
    const auto leases = std::make_shared<LeaseBook>(LeaseBook::open(run));
    const auto clear = [leases, names] {
      const NetworkLock lock = leases->lock();
      clear_dead_leases(names, *leases);
    };
    return {.at_once = urgency == Urgency::at_once ? clear : std::function<void()>(),
            .locked =
                [leases](const std::function<void()>& body) {
                  const NetworkLock lock = leases->lock();
                  body();
                },
            .is_due = [leases, names] { return !is_tidy(names, *leases); },
            .remove = [leases, names] { tidy_bridge(names, *leases); }};
  };
  tidy_later(run, "bridge.linger", prepare, urgency);
}

}  // namespace lay::runner
