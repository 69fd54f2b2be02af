#include <catch2/catch.hpp>

#include "container_fixture.h"
#include "error_of.h"

using namespace lay;
using lay::test::ContainerFixture;

namespace {

constexpr const char* kIdle = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

}  // namespace

TEST_CASE("an executed command sees the container's namespaces and files", "[runner][exec]") {
  const ContainerFixture fixture;
  auto config = fixture.script(std::string("echo hello >/note; ") + kIdle);
  config.spec.hostname = "box";
  const auto container = fixture.run_detached(config);
  const std::string pid = std::to_string(container.state().pid);
  for (const char* kind : {"pid", "net", "mnt", "ipc", "uts", "cgroup"}) {
    const std::string link = std::string("/ns/") + kind;
    const std::string outside = sys::readlink_at(sys::cwd(), "/proc/" + pid + link);
    CHECK(fixture.exec(container, {.args = {"readlink", "/proc/self" + link}}).output == outside + "\n");
  }
  CHECK(fixture.exec(container, {.args = {"hostname"}}).output == "box\n");
  CHECK(test::poll_until([&] {
    return fixture.exec(container, {.args = {"cat", "/note"}}).output == "hello\n";
  }));
  const std::string cgroup = test::file_text("/proc/" + pid + "/cgroup");
  const auto joined = fixture.exec(container, {.args = {"cat", "/proc/self/cgroup"}});
  CHECK(joined.output == fixture.exec(container, {.args = {"cat", "/proc/1/cgroup"}}).output);
  CHECK(cgroup.find(container.config().id) != std::string::npos);
  CHECK(joined.output.find("/..") == std::string::npos);
}

TEST_CASE("E07: an executed command has the rights of the container and no more", "[runner][exec]") {
  const ContainerFixture fixture;
  auto config = fixture.script(kIdle);
  config.spec.process.no_new_privileges = true;
  std::erase(config.spec.process.capabilities.bounding, "CAP_CHOWN");
  std::erase(config.spec.process.capabilities.permitted, "CAP_CHOWN");
  std::erase(config.spec.process.capabilities.effective, "CAP_CHOWN");
  const auto container = fixture.run_detached(config);
  const auto rights = [&](const char* process) {
    return fixture.exec(container, {.args = {"grep", "-E", "^(Cap|Seccomp|NoNew)", process}}).output;
  };
  const std::string own = rights("/proc/self/status");
  CHECK(own.find("CapBnd:\t00000000800405fa\n") != std::string::npos);
  CHECK(own == rights("/proc/1/status"));
  CHECK(fixture.exec(container, {.args = {"ls", "/proc/self/fd"}}).output == "0\n1\n2\n3\n");
}

TEST_CASE("an executed command's exit code, input, environment, folder and user are as asked",
          "[runner][exec]") {
  const ContainerFixture fixture;
  auto config = fixture.script(kIdle);
  config.spec.process.env.emplace_back("COLOR=blue");
  config.spec.process.cwd = "/tmp";
  const auto container = fixture.run_detached(config);
  CHECK(fixture.exec(container, {.args = {"sh", "-c", "exit 42"}}).status == 42);
  CHECK(fixture.exec(container, {.args = {"sh", "-c", "kill -9 $$"}}).status == 137);
  CHECK(fixture.exec(container, {.args = {"no-such"}}).status == 127);
  CHECK(fixture.exec(container, {.args = {"/etc"}}).status == 126);
  CHECK(fixture.exec(container, {.args = {"cat"}, .open_stdin = true}, "typed").output == "typed");
  CHECK(fixture.exec(container, {.args = {"sh", "-c", "echo $COLOR"}}).output == "blue\n");
  CHECK(fixture.exec(container, {.args = {"sh", "-c", "echo $COLOR"}, .env = {"COLOR=red"}}).output ==
        "red\n");
  CHECK(fixture.exec(container, {.args = {"pwd"}}).output == "/tmp\n");
  CHECK(fixture.exec(container, {.args = {"pwd"}, .cwd = "/etc"}).output == "/etc\n");
  CHECK(fixture.exec(container, {.args = {"id", "-u"}, .user = "app"}).output == "1000\n");
  CHECK(fixture.exec(container, {.args = {"id", "-u"}, .user = "root"}).output == "0\n");
}

TEST_CASE("nothing can be executed in a container that does not run", "[runner][exec]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"true"}));
  const Error error =
      test::error_of([&] { runner::exec_in(fixture.store(), container, {.args = {"true"}}); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("is not running") != std::string::npos);
  CHECK(error.hint().find("lay start") != std::string::npos);
}

TEST_CASE("an executed command dies with the container", "[runner][exec]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kIdle));
  const auto result = fixture.exec(container, {.args = {"sh", "-c", "kill 1; sleep 100"}});
  CHECK(result.status == 137);
  runner::wait_container(container);
  CHECK(fixture.leftovers().empty());
}
