#include "flags/resource_flags.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay;
using namespace lay::cli;
using runner::Resources;

namespace {

Resources apply(const ResourceFlags& flags, Resources resources = {}) {
  flags.apply(resources);
  return resources;
}

}  // namespace

TEST_CASE("sizes of huge pages are called as the kernel calls them", "[cli][resources]") {
  const Resources resources = apply({.hugepages = {"2m=64m", "1GB=2g", "64k=1m", "2MB=32m"}});
  CHECK(resources.hugepages ==
        std::vector<runner::HugepageLimit>{{"1GB", 2ULL << 30}, {"64KB", 1 << 20}, {"2MB", 32 << 20}});
  for (const char* text : {"64m", "2MB", "=64m", "2MB=", "x=64m", "0=64m", "1000=64m"})
    CHECK_THROWS_AS(apply({.hugepages = {text}}), Error);
}

TEST_CASE("files of a cgroup are taken with everything behind the first =", "[cli][resources]") {
  const Resources resources =
      apply({.cgroup_files = {"io.max=8:0 rbps=1", "memory.high=1", "memory.high=2"}});
  CHECK(resources.unified ==
        std::map<std::string, std::string>{{"io.max", "8:0 rbps=1"}, {"memory.high", "2"}});
  for (const char* text : {"memory.high", "=1"}) CHECK_THROWS_AS(apply({.cgroup_files = {text}}), Error);
}

TEST_CASE("what a block device may do needs a block device and a number", "[cli][resources]") {
  for (const char* text : {"/dev/null:1m", "/dev/null", "/nowhere:1m", ":1m", "/dev/null:", "/dev/null:x"})
    CHECK_THROWS_AS(apply({.block = {.read_bytes = {text}}}), Error);
  CHECK_THROWS_AS(apply({.block = {.weight = 9}}), Error);
  CHECK_THROWS_AS(apply({.block = {.weight = 1001}}), Error);
  CHECK(apply({.block = {.weight = 10}}).block_io.weight == 10);
}

TEST_CASE("0 is no limit of memory or processors, and takes one away", "[cli][resources]") {
  CHECK(apply({.memory = "0", .cpus = 0}) == Resources{});
  const Resources limited = apply({.memory = "64m", .cpus = 0.5});
  const Resources lifted = apply({.memory = "0", .cpus = 0}, limited);
  CHECK(lifted.memory_limit == -1);
  CHECK(lifted.memory_swap == -1);
  CHECK(lifted.cpu_quota == -1);
  CHECK_THROWS_AS(apply({.memory = "0", .memory_swap = "64m"}), Error);
  CHECK_THROWS_AS(apply({.memory = "0", .oom_kill_disable = true}), Error);
  CHECK_THROWS_AS(apply({.cpus = -1}), Error);
}

TEST_CASE("swappiness is a percentage, and -1 the machine's own", "[cli][resources]") {
  CHECK(apply({.swappiness = 0}).memory_swappiness == 0U);
  CHECK_FALSE(apply({.swappiness = -1}).memory_swappiness.has_value());
  for (const std::int64_t value : {-2, 101}) CHECK_THROWS_AS(apply({.swappiness = value}), Error);
}

TEST_CASE("without a limit of memory the out-of-memory killer stays", "[cli][resources]") {
  CHECK_THROWS_AS(apply({.oom_kill_disable = true}), Error);
  const Resources limited = apply({.memory = "64m", .oom_kill_disable = true});
  CHECK(limited.disable_oom_killer);
  CHECK(apply({.memory = "128m"}, limited).disable_oom_killer == true);
  CHECK(apply({.memory = "0"}, limited).disable_oom_killer == false);
}

TEST_CASE("--cpu-quota and --cpu-period are the two parts of --cpus", "[cli][resources]") {
  const Resources resources = apply({.cpu_period = 200'000, .cpu_quota = 50'000});
  CHECK(resources.cpu_quota == 50'000);
  CHECK(resources.cpu_period == 200'000);
  CHECK(apply({.cpu_quota = 70'000}, resources).cpu_period == 200'000);
  CHECK(apply({.cpu_quota = -1}, resources).cpu_quota == -1);
  CHECK_FALSE(apply({.cpu_period = 0, .cpu_quota = 0}).cpu_quota);
  for (const ResourceFlags& flags :
       {ResourceFlags{.cpus = 1, .cpu_period = 1000}, ResourceFlags{.cpus = 1, .cpu_quota = 1000},
        ResourceFlags{.cpu_period = 999}, ResourceFlags{.cpu_quota = 999}})
    CHECK_THROWS_AS(apply(flags), Error);
}
