#include "transfer/parallel.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

using lay::registry::run_parallel;
using Jobs = std::vector<std::function<void(const std::stop_token&)>>;

TEST_CASE("every job runs, however few threads there are", "[registry][parallel]") {
  for (const unsigned parallel : {0u, 1u, 3u, 100u}) {
    std::atomic<int> done = 0;
    run_parallel(Jobs(10, [&](const std::stop_token&) { ++done; }), parallel);
    CHECK(done == 10);
  }
  CHECK_NOTHROW(run_parallel({}, 3));
}

TEST_CASE("the first failure stops the others and is the one reported", "[registry][parallel]") {
  std::atomic<int> begun = 0;
  Jobs jobs;
  jobs.emplace_back([&](const std::stop_token& stop) {
    ++begun;
    while (!stop.stop_requested()) std::this_thread::yield();
    throw std::runtime_error("a consequence");
  });
  jobs.emplace_back([&](const std::stop_token&) {
    while (begun == 0) std::this_thread::yield();
    throw std::runtime_error("the cause");
  });
  jobs.emplace_back([&](const std::stop_token&) { ++begun; });
  CHECK_THROWS_WITH(run_parallel(jobs, 2), "the cause");
  CHECK(begun == 1);
}
