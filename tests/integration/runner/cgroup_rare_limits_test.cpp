#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "attach.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/cgroup.h"
#include "cgroup/group.h"
#include "cgroup/layout.h"
#include "cgroup/limits.h"
#include "cgroup/place.h"
#include "error_of.h"
#include "skip.h"

using namespace lay;
using namespace lay::runner;

namespace {

std::string new_id() {
  return "test-" + sys::random_hex(8);
}

/// The file of the container's group that has it, empty when none has.
std::string read_limit(const std::string& id, const std::string& v1_file, const std::string& v2_file) {
  for (const CgroupGroup& group : find_groups(id))
    for (const std::string& file : {v1_file, v2_file})
      if (sys::try_stat_at(group.dir, file)) return read_group_file(group.dir, file);
  return {};
}

bool has_file(const std::string& v1_file, const std::string& v2_file) {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  return !read_limit(id, v1_file, v2_file).empty();
}

}  // namespace

TEST_CASE("burst and idle of the processor are set", "[runner][cgroup][spec]") {
  if (!has_file("cpu.cfs_burst_us", "cpu.max.burst")) SKIP_TEST("this kernel has no bursts");
  const std::string id = new_id();
  const CgroupGuard guard =
      CgroupGuard::create(id, {.cpu_quota = 50000, .cpu_period = 100000, .cpu_burst = 20000, .cpu_idle = 1});
  CHECK(read_limit(id, "cpu.cfs_burst_us", "cpu.max.burst") == "20000");
  CHECK(read_limit(id, "cpu.idle", "cpu.idle") == "1");
}

TEST_CASE("a burst above the quota is refused by name", "[runner][cgroup][spec]") {
  if (!has_file("cpu.cfs_burst_us", "cpu.max.burst")) SKIP_TEST("this kernel has no bursts");
  const Error error = test::error_of(
      [] { CgroupGuard::create(new_id(), {.cpu_quota = 5000, .cpu_period = 100000, .cpu_burst = 20000}); });
  CHECK_THAT(error.message(), Catch::Contains("cpu.burst"));
}

TEST_CASE("time for realtime processes is set where the kernel has it, else refused",
          "[runner][cgroup][spec]") {
  const std::string id = new_id();
  if (!has_file("cpu.rt_period_us", "")) {
    CHECK(test::error_of([&] { CgroupGuard::create(id, {.cpu_realtime_period = 500000}); }).code() ==
          Errc::unsupported);
    return;
  }
  const CgroupGuard guard =
      CgroupGuard::create(id, {.cpu_realtime_runtime = 0, .cpu_realtime_period = 500000});
  CHECK(read_limit(id, "cpu.rt_period_us", "") == "500000");
}

TEST_CASE("limits whose controller is not there are refused, and leave no group behind",
          "[runner][cgroup][spec]") {
  if (has_file("net_cls.classid", "rdma.max")) SKIP_TEST("this machine has such a controller");
  for (const Resources& resources :
       {Resources{.network_class = 1}, Resources{.link_priorities = {{"lo", 1}}},
        Resources{.rdma = {{"mlx", {.handles = 1}}}}, Resources{.unified = {{"memory.no_such", "1"}}}}) {
    const std::string id = new_id();
    CHECK(test::error_of([&] { CgroupGuard::create(id, resources); }).code() == Errc::unsupported);
    CHECK(find_groups(id).empty());
  }
}

TEST_CASE("checkBeforeUpdate refuses a limit below what is used", "[runner][cgroup][spec]") {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  const pid_t child = ::fork();
  if (child == 0) {
    test::attach(id, ::getpid());
    const std::string memory(8 << 20, 'x');
    ::pause();
    ::_exit(memory.empty() ? 1 : 0);
  }
  const auto used = [&] {
    return parse_number(read_limit(id, "memory.usage_in_bytes", "memory.current")).value_or(0);
  };
  for (int i = 0; i < 500 && used() < (8U << 20); ++i) ::usleep(10000);
  CHECK(used() >= (8U << 20));
  const Error error =
      test::error_of([&] { set_live_limits(id, {.memory_limit = 1 << 20, .check_before_update = true}); });
  CHECK_THAT(error.message(), Catch::Contains("more than the new limit"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}
