#include "base/lazy.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

using lay::Lazy;

TEST_CASE("a lazy value is made once, however many ask for it", "[base][lazy]") {
  Lazy<int> value;
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { value.get([&] { return 7 + made++; }); });
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 1);
  CHECK(value.get([] { return 0; }) == 7);
}

TEST_CASE("whoever asks for a lazy value that could not be made tries again", "[base][lazy]") {
  Lazy<int> value;
  CHECK_THROWS_AS(value.get([]() -> int { throw std::runtime_error("not now"); }), std::runtime_error);
  CHECK(value.get([] { return 3; }) == 3);
}
