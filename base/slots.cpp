#include "base/slots.h"

#include <chrono>

#include "base/cancel.h"

namespace lay {

Slots::Taken Slots::take(const std::function<void()>& check) {
  constexpr std::chrono::milliseconds kLook{100};
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kLook, [&] { return free_ > 0; })) {
    throw_if_cancelled();
    lock.unlock();
    if (check) check();
    lock.lock();
  }
  --free_;
  return Taken(*this);
}

void Slots::give_back() {
  {
    const std::scoped_lock lock(mutex_);
    ++free_;
  }
  changed_.notify_one();
}

}  // namespace lay
