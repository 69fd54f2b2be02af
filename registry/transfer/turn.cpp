#include "transfer/turn.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/cancel.h"
#include "transfer/layer_fetch.h"

namespace lay::registry {

Turn take_turn(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob,
               std::chrono::seconds standstill, Progress& progress, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kLook{50};
  if (auto turn = blobs.try_take_turn(blob)) return {.held = std::move(turn)};
  const auto task =
      progress.begin("layer " + blob.digest.short_hex() + ", which another pull fetches", blob.size);
  std::uint64_t before = 0;
  for (auto moved = Clock::now(); Clock::now() - moved < standstill; std::this_thread::sleep_for(kLook)) {
    throw_if_cancelled();
    throw_if_stopped(stop);
    if (auto turn = blobs.try_take_turn(blob)) {
      task->done("waited for");
      return {.held = std::move(turn), .has_waited = true};
    }
    const std::uint64_t come = std::max(before, blobs.come_so_far(blob));
    if (come > before) moved = Clock::now();
    task->advance(come - std::exchange(before, come));
  }
  task->done("stands still");
  return {.has_waited = true};
}

}  // namespace lay::registry
