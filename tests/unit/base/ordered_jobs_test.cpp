#include "base/ordered_jobs.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using lay::OrderedJobs;

TEST_CASE("results come in the order of the starts, whoever ran the jobs", "[base][jobs]") {
  for (const std::size_t threads : {1U, 2U, 5U}) {
    OrderedJobs<int> jobs(threads);
    int taken = 0;
    for (int i = 0; i < 200; ++i) {
      if (jobs.is_full()) CHECK(jobs.take() == taken++);
      jobs.start([i] {
        if (i % 7 == 0) std::this_thread::yield();
        return i;
      });
    }
    while (!jobs.is_empty()) CHECK(jobs.take() == taken++);
    CHECK(taken == 200);
  }
}

TEST_CASE("who waits for the oldest job runs those that nobody has begun", "[base][jobs]") {
  std::promise<void> released;
  std::shared_future<void> release = released.get_future().share();
  std::thread::id second;
  OrderedJobs<int> jobs(2);
  std::promise<void> begun;
  jobs.start([&] {
    begun.set_value();
    return release.wait_for(10s) == std::future_status::ready ? 1 : 0;
  });
  REQUIRE(begun.get_future().wait_for(10s) == std::future_status::ready);  // the only thread is taken
  jobs.start([&] {
    second = std::this_thread::get_id();
    released.set_value();
    return 2;
  });
  CHECK(jobs.take() == 1);
  CHECK(jobs.take() == 2);
  CHECK(second == std::this_thread::get_id());
}

TEST_CASE("what a job throws is thrown where its result is taken, in the caller's thread as well",
          "[base][jobs]") {
  OrderedJobs<int> jobs(1);
  jobs.start([]() -> int { throw std::runtime_error("first"); });
  jobs.start([]() -> int { throw std::runtime_error("second"); });
  jobs.start([] { return 3; });
  CHECK_THROWS_AS(jobs.take(), std::runtime_error);
  CHECK_THROWS_AS(jobs.take(), std::runtime_error);
  CHECK(jobs.take() == 3);
}

TEST_CASE("jobs that were not begun are dropped with their owner", "[base][jobs]") {
  std::atomic<int> ran = 0;
  std::promise<void> begun;
  std::promise<void> released;
  std::thread releaser;
  {
    OrderedJobs<int> jobs(2);
    jobs.start([&] {
      begun.set_value();
      released.get_future().wait();
      return ++ran;
    });
    REQUIRE(begun.get_future().wait_for(10s) == std::future_status::ready);
    for (int i = 0; i < 3; ++i) jobs.start([&] { return ++ran; });
    releaser = std::thread([&] {
      std::this_thread::sleep_for(200ms);  // destruction waits for the first by then
      released.set_value();
    });
  }
  releaser.join();
  CHECK(ran == 1);
}
