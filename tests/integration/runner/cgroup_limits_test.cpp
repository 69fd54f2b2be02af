#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <thread>

#include "attach.h"
#include "base/text.h"
#include "cgroup/cgroup.h"
#include "cgroup/device_filter.h"
#include "cgroup/group.h"
#include "cgroup/layout.h"
#include "error_of.h"
#include "in_child.h"
#include "skip.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;
using lay::test::in_child;

namespace {

bool has_controller(std::string_view name) {
  for (const CgroupHierarchy& hierarchy : find_cgroup_hierarchies())
    if (hierarchy.has(name)) return true;
  return false;
}

std::string new_id() {
  return "test-" + sys::random_hex(8);
}

/// What the container's group says in `file`, in whatever hierarchy has that file; empty when none has.
std::string read_limit(const std::string& id, const std::string& file) {
  for (const CgroupGroup& group : find_groups(id))
    if (const std::optional<UniqueFd> found = sys::try_open_at(group.dir, file, O_RDONLY)) {
      std::string text = sys::read_all(*found, 4096);
      if (text.ends_with('\n')) text.pop_back();
      return text;
    }
  return {};
}

/// The number after `key` in a file of "key number" lines.
std::uint64_t read_statistic(const std::string& id, const std::string& file, const std::string& key) {
  for (const std::string& line : split(read_limit(id, file), '\n'))
    if (line.starts_with(key + " ")) return parse_number(line.substr(key.size() + 1)).value_or(0);
  return 0;
}

}  // namespace

TEST_CASE("a process that takes more memory than its limit is killed, and counted", "[runner][cgroup]") {
  if (!has_controller("memory")) SKIP_TEST("no memory controller");
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {.memory_limit = 32 << 20, .memory_swap = 32 << 20});
  const ChildResult result = in_child(0, [&] {
    test::attach(id, ::getpid());
    constexpr std::size_t kSize = 128 << 20;
    void* memory =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return std::string(memory == MAP_FAILED ? "refused" : "had it all");
  });
  CHECK(result.text == "");
  CHECK(WIFSIGNALED(result.status));
  CHECK(WTERMSIG(result.status) == SIGKILL);
  CHECK(guard.oom_kills() == 1);
  CHECK(CgroupGuard::open(id).oom_kills() == 1);
}

TEST_CASE("a process cannot fork beyond its limit", "[runner][cgroup]") {
  if (!has_controller("pids")) SKIP_TEST("no pids controller");
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {.pids_limit = 5});
  const ChildResult result = in_child(CLONE_NEWPID, [&] {
    test::attach(id, 0);  // the writer itself, whatever its number is here
    int forked = 0;
    for (int attempt = 0; attempt < 20; ++attempt) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::pause();
        ::_exit(0);
      }
      if (pid < 0) return fmt::format("{} {}", forked, errno == EAGAIN ? "EAGAIN" : "other");
      ++forked;
    }
    return std::string("no limit");
  });
  CHECK(result.error == "");
  CHECK(result.text == "4 EAGAIN");  // and itself
}

TEST_CASE("a process that computes is slowed down to its share", "[runner][cgroup]") {
  if (!has_controller("cpu")) SKIP_TEST("no cpu controller");
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {.cpu_quota = 10'000, .cpu_period = 100'000});
  const ChildResult result = in_child(0, [&] {
    test::attach(id, ::getpid());
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < end) {
    }
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::to_string(used.tv_sec * 1000 + used.tv_nsec / 1'000'000);
  });
  CHECK(result.error == "");
  CHECK(std::stol(result.text) < 250);  // a tenth of 500 ms, and a slice of each processor
  CHECK(read_statistic(id, "cpu.stat", "nr_throttled") > 0);
}

TEST_CASE("limits stand in the group's files as they were asked for", "[runner][cgroup]") {
  if (!has_controller("memory") || !has_controller("cpu")) SKIP_TEST("no controllers");
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(
      id, {.memory_limit = 256 << 20, .cpu_quota = 150'000, .cpu_period = 100'000, .pids_limit = 100});
  const std::string v1 = read_limit(id, "memory.limit_in_bytes");
  CHECK((v1.empty() ? read_limit(id, "memory.max") : v1) == "268435456");
  CHECK((read_limit(id, "cpu.cfs_quota_us") == "150000" || read_limit(id, "cpu.max") == "150000 100000"));
  CHECK(read_limit(id, "pids.max") == "100");
}

TEST_CASE("devices outside the rules cannot be opened, even when their node can be made",
          "[runner][cgroup]") {
  if (!has_controller("devices")) SKIP_TEST("no devices controller of v1");
  const test::TempFolder folder;
  sys::mknod_at(folder.fd(), "null", S_IFCHR | 0666, ::makedev(1, 3));
  sys::mknod_at(folder.fd(), "zero", S_IFCHR | 0666, ::makedev(1, 5));
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(
      id,
      {.devices = {{.allow = false}, {.allow = true, .type = "c", .major = 1, .minor = 3, .access = "rw"}}});
  const ChildResult result = in_child(0, [&] {
    test::attach(id, ::getpid());
    std::string text;
    for (const char* name : {"null", "zero"}) {
      const int fd = ::openat(folder.fd().get(), name, O_RDONLY | O_CLOEXEC);
      text += fmt::format("{} ", fd < 0 ? errno : 0);
    }
    for (const dev_t device : {::makedev(1, 1), ::makedev(10, 200), ::makedev(10, 229), ::makedev(1, 3)})
      text +=
          fmt::format("{} ", ::mknodat(folder.fd().get(), "node", S_IFCHR | 0600, device) < 0 ? errno : 0);
    text += fmt::format(
        "{}", ::mknodat(folder.fd().get(), "disk", S_IFBLK | 0600, ::makedev(8, 0)) < 0 ? errno : 0);
    return text;
  });
  CHECK(result.error == "");
  CHECK(result.text == "0 1 1 1 1 1 1");
}

TEST_CASE("K10: in cgroup v2 a program holds processes to the device rules", "[runner][cgroup]") {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  std::vector<CgroupGroup> groups = find_groups(id);
  std::erase_if(groups, [](const CgroupGroup& g) { return g.hierarchy.version != CgroupVersion::v2; });
  if (groups.empty()) SKIP_TEST("no cgroup v2");
  replace_device_filters(groups.front().dir,
                         {{.allow = false},
                          {.allow = true, .type = "c", .major = 1, .minor = 3, .access = "rw"},
                          {.allow = true, .type = "c", .major = 1, .minor = 5, .access = "r"},
                          {.allow = true, .type = "b", .major = 7, .access = "m"}});
  const test::TempFolder folder;
  const ChildResult result = in_child(0, [&] {
    test::attach(id, ::getpid());
    const auto opens = [](const char* path, int flags) { return ::open(path, flags) >= 0 ? "+" : "-"; };
    const auto makes = [&](const char* name, mode_t type, unsigned major) {
      const std::string path = folder.path() + "/" + name;
      return ::mknod(path.c_str(), type | 0600, ::makedev(major, 3)) == 0 ? "+" : "-";
    };
    return std::string(opens("/dev/null", O_RDWR)) + opens("/dev/zero", O_RDONLY) +
           opens("/dev/zero", O_WRONLY) + opens("/dev/zero", O_RDWR) + opens("/dev/full", O_RDONLY) +
           makes("null", S_IFCHR, 1) + makes("loop", S_IFBLK, 7) + makes("other", S_IFBLK, 8);
  });
  CHECK(result.text == "++----+-");
}
