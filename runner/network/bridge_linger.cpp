#include "network/bridge_linger.h"

#include <functional>
#include <memory>

#include "base/linger.h"
#include "network/bridge.h"

namespace lay::runner {

namespace {
constexpr const char* kLinger = "bridge.linger";
}

void tidy_bridge_later(const std::string& run, const NetworkNames& names) {
  const auto prepare = [run, names]() -> Tidying {
    const auto leases = std::make_shared<LeaseBook>(LeaseBook::open(run));
    return {.soon =
                [leases, names] {
                  const NetworkLock lock = leases->lock();
                  clear_dead_leases(names, *leases);
                },
            .locked =
                [leases](const std::function<void()>& body) {
                  const NetworkLock lock = leases->lock();
                  body();
                },
            .is_due = [leases, names] { return !is_tidy(names, *leases); },
            .remove = [leases, names] { tidy_bridge(names, *leases); }};
  };
  tidy_later(run, kLinger, prepare);
}

bool is_bridge_tidied_soon(const std::string& run) {
  return is_lingering(run, kLinger);
}

}  // namespace lay::runner
