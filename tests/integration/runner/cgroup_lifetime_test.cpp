#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <future>
#include <vector>

#include "attach.h"
#include "base/text.h"
#include "cgroup/cgroup.h"
#include "cgroup/freezer.h"
#include "cgroup/group.h"
#include "cgroup/layout.h"
#include "error_of.h"
#include "in_child.h"
#include "poll_until.h"
#include "process/process.h"
#include "rootfs_fixture.h"
#include "skip.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;
using lay::test::in_child;

namespace {

std::string new_id() {
  return "test-" + sys::random_hex(8);
}

/// A process that waits for ever, killed and reaped at the end at the latest.
class Waiter {
 public:
  Waiter() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::signal(SIGTERM, SIG_IGN);
    for (;;) ::pause();
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  /// Waits for its end; the signal that ended it.
  int wait_signal() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

 private:
  pid_t pid_;
};

/// A process that counts, killed and reaped at the end.
class Counter {
 public:
  Counter()
      : count_(static_cast<std::atomic<unsigned>*>(
            ::mmap(nullptr, sizeof(*count_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))),
        pid_(::fork()) {
    if (pid_ == 0)
      for (;; ++*count_) ::usleep(100);
  }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  ~Counter() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(count_, sizeof(*count_));
  }

  pid_t pid() const { return pid_; }
  bool goes_on() const {
    const unsigned before = *count_;
    ::usleep(100'000);
    return *count_ != before;
  }

 private:
  std::atomic<unsigned>* const count_;
  const pid_t pid_;
};

}  // namespace

TEST_CASE("a container has a group in every hierarchy while its guard lives, and none after",
          "[runner][cgroup]") {
  const std::string id = new_id();
  {
    const CgroupGuard guard = CgroupGuard::create(id, {});
    CHECK(find_groups(id).size() == find_cgroup_hierarchies().size());
  }
  CHECK(find_groups(id).empty());
}

TEST_CASE("processes are killed and their groups removed with the guard", "[runner][cgroup]") {
  const std::string id = new_id();
  Waiter first;
  Waiter second;
  {
    const CgroupGuard guard = CgroupGuard::create(id, {});
    test::attach(id, first.pid());
    test::attach(id, second.pid());
  }
  CHECK(find_groups(id).empty());
  CHECK(first.wait_signal() == SIGKILL);
  CHECK(second.wait_signal() == SIGKILL);
}

TEST_CASE("another lay finds the groups, and its going leaves them", "[runner][cgroup]") {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  Waiter waiter;
  test::attach(id, waiter.pid());
  { const CgroupGuard other = CgroupGuard::open(id); }
  CHECK_FALSE(find_groups(id).empty());
  kill_groups(find_groups(id));
  CHECK(waiter.wait_signal() == SIGKILL);
}

TEST_CASE("containers that start just as the last one of others ends get their groups", "[runner][cgroup]") {
  constexpr int kRounds = 100;
  const auto come_and_go = [] {
    for (int round = 0; round < kRounds; ++round) CgroupGuard::create(new_id(), {});
  };
  std::vector<std::future<void>> others;
  for (int i = 0; i < 3; ++i) others.push_back(std::async(std::launch::async, come_and_go));
  for (std::future<void>& other : others) CHECK_NOTHROW(other.get());
}

TEST_CASE("what a killed supervisor left is removed, with groups inside the groups", "[runner][cgroup]") {
  const std::string id = new_id();
  Waiter waiter;
  // The guard of a child that ends without destructors.
  CHECK(in_child(0, [&] {
          static const CgroupGuard guard = CgroupGuard::create(id, {});
          test::attach(id, waiter.pid());
          return std::string("made");
        }).text == "made");
  for (const CgroupGroup& group : find_groups(id)) sys::mkdir_at(group.dir, "inner", 0755);
  remove_cgroups(id);
  CHECK(find_groups(id).empty());
  CHECK(waiter.wait_signal() == SIGKILL);
  remove_cgroups(id);  // nothing there is success
}

TEST_CASE("without cgroup.kill processes are killed one by one, those in inner groups too",
          "[runner][cgroup]") {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  Waiter outer;
  Waiter inner;
  test::attach(id, outer.pid());
  test::attach(id, inner.pid());
  std::vector<CgroupGroup> groups = find_groups(id);
  std::erase_if(groups, [](const CgroupGroup& group) { return !group.hierarchy.has("freezer"); });
  if (!groups.empty()) {
    sys::mkdir_at(groups[0].dir, "inner", 0755);
    write_group_file(sys::open_dir(groups[0].dir, "inner"), "cgroup.procs", std::to_string(inner.pid()));
  } else {
    groups = find_groups(id);
  }
  const ChildResult killer = in_child(0, [&] {
    kill_processes_one_by_one(groups);
    return std::string("killed");
  });
  CHECK(killer.text == "killed");
  CHECK(outer.wait_signal() == SIGKILL);
  CHECK(inner.wait_signal() == SIGKILL);
}

TEST_CASE("a frozen process stands still until it is thawed, by each freezer that there is",
          "[runner][cgroup]") {
  const auto version = GENERATE(CgroupVersion::v1, CgroupVersion::v2);
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  const Counter counter;
  test::attach(id, counter.pid());
  std::vector<CgroupGroup> groups = find_groups(id);
  std::erase_if(groups, [&](const CgroupGroup& group) { return group.hierarchy.version != version; });
  if (groups.empty()) SKIP_TEST("no cgroups of this version");
  CHECK(counter.goes_on());
  CHECK_FALSE(are_frozen(groups));
  freeze_groups(groups);
  CHECK(are_frozen(groups));
  CHECK_FALSE(counter.goes_on());
  thaw_groups(groups);
  CHECK_FALSE(are_frozen(groups));
  CHECK(counter.goes_on());
}

TEST_CASE("a container without groups is not running", "[runner][cgroup]") {
  const Error error = test::error_of([] { CgroupGuard::open(std::string("never-made")); });
  CHECK(error.code() == Errc::not_found);
  CHECK(error.message() == "container 'never-made' has no cgroup: it is not running");
}

TEST_CASE("a limit without its controller is an error that names flag and controller", "[runner][cgroup]") {
  const std::string id = new_id();
  // A machine that has v2 alone, and no controllers in it.
  const ChildResult result = in_child(CLONE_NEWNS, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    for (const CgroupHierarchy& hierarchy : find_cgroup_hierarchies())
      if (hierarchy.has("memory")) ::umount2(hierarchy.mount_point.c_str(), MNT_DETACH);
    const CgroupGuard guard = CgroupGuard::create(id, {.memory_limit = 1 << 24});
    return std::string();
  });
  CHECK(result.error ==
        "--memory needs the cgroup controller 'memory', which this machine does not offer\n"
        "hint: leave the limit out, or mount and enable the controller (see cgroups(7))");
  CHECK(find_groups(id).empty());
}

TEST_CASE("inside, a container sees its own groups, read-only, and not the host's",
          "[runner][cgroup][rootfs]") {
  const test::RootfsFixture fixture;
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  const ChildResult result = in_child(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET, [&] {
    test::attach(id, ::getpid());
    if (::unshare(CLONE_NEWCGROUP) < 0) throw Error::from_errno("unshare");
    fixture.enter_root();
    mount_cgroups(fixture.spec);
    std::string text;
    for (const std::string& line : split(test::text_of(sys::cwd(), "/proc/self/cgroup"), '\n'))
      if (!line.empty() && !line.ends_with(":/")) text += "not at its root: " + line + "\n";
    for (const auto& entry : std::filesystem::directory_iterator("/sys/fs/cgroup")) {
      if (!entry.is_directory() || entry.is_symlink()) continue;
      const std::string procs = test::text_of(sys::cwd(), entry.path() / "cgroup.procs");
      if (procs != std::to_string(::getpid()) + "\n") text += entry.path().string() + " holds " + procs;
      const int fd = ::open((entry.path() / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
      if (fd >= 0 || errno != EROFS) text += entry.path().string() + " can be written\n";
      if (sys::try_stat_at(sys::cwd(), entry.path() / "lay"))
        text += entry.path().string() + " is the host's\n";
    }
    const int fd = ::open("/sys/fs/cgroup/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return text + (fd < 0 && errno == EROFS ? "sealed" : "open");
  });
  CHECK(result.error == "");
  CHECK(result.text == "sealed");
}

TEST_CASE("a child is born in its group of v2, and moves itself into those of v1", "[runner][cgroup]") {
  const std::string id = new_id();
  const CgroupGuard guard = CgroupGuard::create(id, {});
  const auto process = ChildProcess::clone(0, guard.birthplace());
  if (!process) {
    guard.enter();
    ::pause();
    ::_exit(0);
  }
  const std::string entry = std::to_string(process->pid()) + "\n";
  for (const CgroupGroup& group : find_groups(id)) {
    INFO(group.hierarchy.name);
    CHECK(test::poll_until([&] { return test::text_of(group.dir, "cgroup.procs") == entry; }));
  }
}
