#include <unistd.h>

#include <catch2/catch.hpp>

#include "container_fixture.h"
#include "skip.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ContainerFixture;
using lay::test::RunResult;

namespace {

constexpr const char* kIdle = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

}  // namespace

TEST_CASE("domainname is the container's own", "[runner][spec][steps]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"cat", "/proc/sys/kernel/domainname"});
  config.spec.domainname = "example.org";
  CHECK(fixture.run(config).output == "example.org\n");
  CHECK(test::file_text("/proc/sys/kernel/domainname") != "example.org\n");
}

TEST_CASE("with the personality LINUX32 uname tells of a 32-bit machine, in exec too",
          "[runner][spec][steps]") {
#if defined(__x86_64__)
  const ContainerFixture fixture;
  auto config = fixture.script(kIdle);
  config.spec.linux_.personality = PersonalityDomain::linux32;
  const auto container = fixture.run_detached(config);
  CHECK(fixture.exec(container, {.args = {"uname", "-m"}}).output == "i686\n");
  auto first = fixture.config({"uname", "-m"});
  CHECK(fixture.run(first).output == "x86_64\n");
  first.spec.linux_.personality = PersonalityDomain::linux32;
  CHECK(fixture.run(first).output == "i686\n");
#else
  SKIP_TEST("this machine's 32-bit name is another one");
#endif
}

TEST_CASE("scheduler and ioPriority hold for the command", "[runner][spec][steps]") {
  const ContainerFixture fixture;
  auto config = fixture.script("awk '{print $19, $41}' /proc/self/stat; ionice -p $$");
  config.spec.process.scheduler = Scheduler{.policy = "SCHED_BATCH", .nice = 5};
  config.spec.process.io_priority = IoPriority{.level_class = IoPriority::Class::best_effort, .priority = 6};
  const RunResult result = fixture.run(config);
  CHECK(result.errors.empty());
  CHECK(result.output == "5 3\nbest-effort: prio 6\n");
  config.spec.process.io_priority = IoPriority{.level_class = IoPriority::Class::idle};
  CHECK(fixture.run(config).output.find("idle") != std::string::npos);
}

TEST_CASE("a scheduler that the kernel does not have keeps the container from starting",
          "[runner][spec][steps]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.spec.process.scheduler = Scheduler{.policy = "SCHED_ISO"};
  const RunResult result = fixture.run(config);
  CHECK(result.status == 125);
  CHECK_THAT(result.errors, Catch::Contains("SCHED_ISO"));
}

TEST_CASE("execCPUAffinity holds for commands of exec and not for the first one", "[runner][spec][steps]") {
  if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) SKIP_TEST("one processor only");
  const ContainerFixture fixture;
  auto config = fixture.script(kIdle);
  config.spec.process.exec_cpu_affinity = {.initial = "0", .final_ = "1"};
  const auto container = fixture.run_detached(config);
  CHECK(fixture.exec(container, {.args = {"grep", "Cpus_allowed_list", "/proc/self/status"}}).output ==
        "Cpus_allowed_list:\t1\n");
  CHECK(fixture.exec(container, {.args = {"grep", "Cpus_allowed_list", "/proc/1/status"}}).output !=
        "Cpus_allowed_list:\t1\n");
}

TEST_CASE("umask holds for the command", "[runner][spec][steps]") {
  const ContainerFixture fixture;
  auto config = fixture.script("umask");
  config.spec.process.user.umask = 077;
  CHECK(fixture.run(config).output == "0077\n");
}

TEST_CASE("labels of a security module that the kernel lacks are an error before anything happens",
          "[runner][spec][steps]") {
  if (::access("/sys/module/apparmor", F_OK) == 0 || ::access("/sys/fs/selinux/enforce", F_OK) == 0)
    SKIP_TEST("this kernel has such a module");
  const ContainerFixture fixture;
  auto config = fixture.config({"true"});
  config.spec.process.apparmor_profile = "strict";
  RunResult result = fixture.run(config);
  CHECK(result.status == 125);
  CHECK_THAT(result.errors, Catch::Contains("AppArmor profile 'strict': this kernel has no AppArmor"));
  config.spec.process.apparmor_profile = "unconfined";
  CHECK(fixture.run(config).status == 0);
  config.spec.process.selinux_label = "a:b:c";
  CHECK_THAT(fixture.run(config).errors, Catch::Contains("this kernel has no SELinux"));
  config.spec.process.selinux_label.clear();
  config.spec.linux_.mount_label = "a:b:c";
  CHECK_THAT(fixture.run(config).errors, Catch::Contains("mount label 'a:b:c'"));
}

TEST_CASE("rootfsPropagation is that of the container's root", "[runner][spec][steps]") {
  const ContainerFixture fixture;
  auto config = fixture.script("grep ' / / ' /proc/self/mountinfo");
  CHECK(fixture.run(config).output.find("shared:") == std::string::npos);
  config.spec.linux_.root_propagation = RootPropagation::shared;
  CHECK_THAT(fixture.run(config).output, Catch::Contains("shared:"));
  config.spec.linux_.root_propagation = RootPropagation::unbindable;
  CHECK_THAT(fixture.run(config).output, Catch::Contains("unbindable"));
}
