#include "process/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/error.h"

using namespace lay;

TEST_CASE("a process is opened by its number, and only by that", "[runner][process]") {
  CHECK(runner::open_process(::getpid()).has_value());
  CHECK_THROWS_AS(runner::open_process(0), Error);
  CHECK_THROWS_AS(runner::open_process(-1), Error);
}

TEST_CASE("the number of a thread is no process's", "[runner][process]") {
  bool is_there = true;
  std::thread([&] { is_there = runner::open_process(::gettid()).has_value(); }).join();
  CHECK_FALSE(is_there);
}

TEST_CASE("processes that others reap are open or gone, and never an error", "[runner][process]") {
  for (int round = 0; round < 300; ++round) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) ::_exit(0);
    std::thread reaper([&] { ::waitpid(pid, nullptr, 0); });
    while (runner::open_process(pid)) continue;
    reaper.join();
  }
}
