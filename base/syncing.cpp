#include "base/syncing.h"

#include <atomic>

namespace lay {

namespace {

std::atomic<bool> syncing{true};

}  // namespace

void stop_syncing() {
  syncing = false;
}

bool is_syncing() {
  return syncing;
}

}  // namespace lay
