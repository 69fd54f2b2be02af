#include "network/bridge_linger.h"

#include <functional>
#include <memory>

#include "base/linger.h"
#include "network/bridge.h"

namespace lay::runner {

void tidy_bridge_later(const std::string& run, const NetworkNames& names) {
  tidy_later(run, "bridge.linger", [run, names]() -> Tidying {
    const auto leases = std::make_shared<LeaseBook>(LeaseBook::open(run));
    return {.locked =
                [leases](const std::function<void()>& body) {
                  const NetworkLock lock = leases->lock();
                  body();
                },
            .is_due = [leases, names] { return !is_tidy(names, *leases); },
            .remove = [leases, names] { tidy_bridge(names, *leases); }};
  });
}

}  // namespace lay::runner
