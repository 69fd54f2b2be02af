#include "container/settled.h"

#include <unistd.h>

#include <chrono>

#include "base/error.h"

namespace lay::runner {

namespace {

/// A start may have to find a free address on a wire first, or the machine may have much else to do.
constexpr std::chrono::seconds kLimit{30};
constexpr useconds_t kPause = 2000;  // microseconds

/// Nobody knows when what still runs of it ends.
void check_not_headless(const Container& container) {
  const ContainerState state = container.state();
  if (!state.is_abandoned || state.status != Status::running || state.pid != 0) return;
  throw Error::make(Errc::busy, "container '{}' has lost its supervisor and its first process, and runs on",
                    container.config().name)
      .with_hint(fmt::format("'lay stop {0}' ends what still runs, 'lay start {0}' starts it anew",
                             container.config().name));
}

}  // namespace

Settled settle(const Container& container) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (true) {
    // First: the lock of one whose supervisor was killed can be had, too
    if (auto first = try_open_first_process(container)) return {.at_rest = {}, .first = std::move(*first)};
    check_not_headless(container);
    if (auto lock = container.try_lock()) return {.at_rest = std::move(*lock), .first = {}};
    if (std::chrono::steady_clock::now() > deadline) break;
    ::usleep(kPause);
  }
  throw Error::make(Errc::busy, "container '{}' is being started or ended all the time",
                    container.config().name)
      .with_hint("'lay ps -a' says how it stands");
}

}  // namespace lay::runner
