#pragma once

#include <chrono>
#include <thread>

namespace lay::test {

/// Asks `condition` again and again until it holds; false when it does not within `limit`.
template <class Condition>
bool poll_until(Condition&& condition, std::chrono::seconds limit = std::chrono::seconds(15)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace lay::test
