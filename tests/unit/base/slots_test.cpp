#include "base/slots.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "base/error.h"

using lay::Slots;

TEST_CASE("no more are at work than there are places", "[base][slots]") {
  Slots slots(2);
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<int> done = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        const Slots::Taken place = slots.take();
        const int now = ++inside;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::yield();
        --inside;
        ++done;
      });
  }
  CHECK(done == 8);
  CHECK(most <= 2);
}

TEST_CASE("who waits for a place is asked whether there is still a reason to", "[base][slots]") {
  Slots slots(1);
  const Slots::Taken place = slots.take();
  CHECK_THROWS_AS(slots.take([] { throw lay::Error(lay::Errc::cancelled, "interrupted"); }), lay::Error);
}
