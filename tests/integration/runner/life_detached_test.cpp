#include <catch2/catch.hpp>
#include <csignal>

#include "container/run_lock.h"
#include "container_fixture.h"
#include "error_of.h"
#include "process/process.h"

using namespace lay;
using lay::test::ContainerFixture;
using lay::test::error_of;
using lay::test::poll_until;
using runner::Status;

namespace {

/// Ends at SIGTERM, which process 1 has to ask for.
constexpr const char* kObedient = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done";
constexpr const char* kStubborn = "trap '' TERM; echo ready; while :; do sleep 0.02; done";

std::string log_of(const runner::Container& container, const runner::LogRequest& request = {}) {
  std::string text;
  runner::read_log(container, request, [&](runner::LogStream, const std::string& piece) { text += piece; });
  return text;
}

bool is_ready(const runner::Container& container) {
  return poll_until([&] { return log_of(container).find("ready") != std::string::npos; });
}

/// The process that holds the container's lock: the parent of its first process.
pid_t supervisor_of(const runner::Container& container) {
  const std::string status = test::file_text("/proc/" + std::to_string(container.state().pid) + "/status");
  const std::size_t begin = status.find("PPid:\t") + 6;
  return std::stoi(status.substr(begin, status.find('\n', begin) - begin));
}

}  // namespace

TEST_CASE("a detached container outlives the call, and its state says so", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kObedient));
  const auto state = container.state();
  CHECK(state.status == Status::running);
  CHECK(state.started);
  CHECK(runner::start_time(state.pid) == state.pid_start_time);
  CHECK(is_ready(container));
  runner::stop_container(fixture.store(), container, std::nullopt);
  CHECK(container.state().status == Status::exited);
  CHECK(container.state().exit_code == 7);
  CHECK(container.state().finished);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("what the start of a detached container throws reaches the caller whole", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"foo"}));
  const Error error = error_of([&] { runner::run_detached(fixture.store(), container); });
  CHECK(error.code() == Errc::no_command);
  CHECK(error.message() == "command 'foo' not found in the container");
  CHECK_FALSE(runner::is_run_locked(container.dir()));
  CHECK(container.state().status == Status::created);
  CHECK(container.state().error.find("'foo' not found") != std::string::npos);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("a command that ignores the stop signal is killed after the timeout", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kStubborn));
  REQUIRE(is_ready(container));
  runner::stop_container(fixture.store(), container, std::chrono::seconds(0));
  CHECK(container.state().exit_code == 137);
  runner::stop_container(fixture.store(), container, std::nullopt);  // not running is success
}

TEST_CASE("a container's own stop signal is used", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script("trap 'exit 9' USR1; echo ready; while :; do sleep 0.02; done");
  config.stop_signal = "SIGUSR1";
  const auto container = fixture.run_detached(config);
  REQUIRE(is_ready(container));
  runner::stop_container(fixture.store(), container, std::nullopt);
  CHECK(runner::wait_container(container) == 9);
}

TEST_CASE("signals reach the first process, and nobody when it has ended", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kObedient));
  REQUIRE(is_ready(container));
  runner::signal_container(container, SIGTERM);
  CHECK(runner::wait_container(container) == 7);
  CHECK(error_of([&] { runner::signal_container(container, SIGTERM); }).code() == Errc::invalid);
}

TEST_CASE("E09: a signal goes to no other process that got the number", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kObedient));
  auto state = container.state();
  const pid_t pid = state.pid;
  ++state.pid_start_time;
  container.save_state(state);
  CHECK(error_of([&] { runner::signal_container(container, SIGKILL); }).code() == Errc::invalid);
  CHECK(runner::start_time(pid).has_value());
  --state.pid_start_time;
  container.save_state(state);
}

TEST_CASE("waiting for an auto_remove container still gives the exit code", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script(kObedient);
  config.auto_remove = true;
  const auto container = fixture.run_detached(config);
  REQUIRE(is_ready(container));
  const pid_t waiter = ::fork();
  if (waiter == 0) ::_exit(runner::wait_container(container));
  runner::signal_container(container, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(waiter, &status, 0) == waiter);
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(fixture.store().list().empty());
}

TEST_CASE("an ended container starts again with what it wrote", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.script("cat /note; echo written >>/note"));
  CHECK(fixture.start(container).output.empty());
  CHECK(fixture.start(container).output == "written\n");
  CHECK(test::file_text(container.path() + "/upper/note") == "written\nwritten\n");
}

TEST_CASE("a running container is neither started twice nor removed", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kObedient));
  CHECK(error_of([&] { runner::run_detached(fixture.store(), container); }).code() == Errc::busy);
  const Error error = error_of([&] { fixture.store().remove(container); });
  CHECK(error.code() == Errc::busy);
  CHECK(error.hint().find("lay stop") != std::string::npos);
  runner::stop_container(fixture.store(), container, std::chrono::seconds(0));
  fixture.store().remove(container);
  CHECK(fixture.store().list().empty());
}

TEST_CASE("with its supervisor killed a container dies and reads as ended", "[runner][life]") {
  const ContainerFixture fixture;
  auto config = fixture.script(kObedient);
  config.spec.process.user.username = "app";  // a change of user makes the kernel forget the death signal
  const auto container = fixture.run_detached(config);
  REQUIRE(is_ready(container));
  const auto process = runner::open_process(container.state().pid);
  REQUIRE(process);
  ::kill(supervisor_of(container), SIGKILL);
  CHECK(runner::wait_for_end(*process, std::chrono::seconds(10)));
  CHECK(poll_until([&] { return container.state().status == Status::exited; }));
  CHECK(container.state().exit_code == 137);
  CHECK(runner::wait_container(container) == 137);
  fixture.store().remove(container);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("a container whose supervisor was killed can be started again", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script(kObedient));
  ::kill(supervisor_of(container), SIGKILL);
  REQUIRE(poll_until([&] { return container.state().status == Status::exited; }));
  runner::run_detached(fixture.store(), container);
  CHECK(container.state().status == Status::running);
  runner::stop_container(fixture.store(), container, std::chrono::seconds(0));
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("the supervisor keeps no descriptor of the caller open", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.script(kObedient));
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);  // as a shell's: without close-on-exec
  runner::run_detached(fixture.store(), container);
  ::close(ends[1]);
  const UniqueFd reader(ends[0]);
  std::array<std::byte, 1> byte;
  CHECK(sys::read_some(reader, byte) == 0);  // the end is seen only when every copy is closed
}

TEST_CASE("the log has both streams, whole lines and pieces", "[runner][log]") {
  const ContainerFixture fixture;
  const auto container =
      fixture.run_detached(fixture.script("echo one; echo two >&2; echo three; printf end"));
  CHECK(runner::wait_container(container) == 0);
  std::string out;
  std::string err;
  runner::read_log(container, {}, [&](runner::LogStream stream, const std::string& text) {
    (stream == runner::LogStream::out ? out : err) += text;
  });
  CHECK(out == "one\nthree\nend");
  CHECK(err == "two\n");
  CHECK(log_of(container, {.tail = 0}).empty());
}

TEST_CASE("the tail of a log counts lines, and a piece at the end is one", "[runner][log]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script("echo one; echo two; printf end"));
  CHECK(runner::wait_container(container) == 0);
  CHECK(log_of(container, {.tail = 1}) == "end");
  CHECK(log_of(container, {.tail = 2}) == "two\nend");
  CHECK(log_of(container, {.tail = 9}) == "one\ntwo\nend");
  const std::string stamped = log_of(container, {.tail = 1, .timestamps = true});
  CHECK(stamped.substr(30) == " end");
}

TEST_CASE("a followed log ends with the container and misses nothing", "[runner][log]") {
  const ContainerFixture fixture;
  const auto container =
      fixture.run_detached(fixture.script("for i in $(seq 200); do echo $i; sleep 0.002; done; printf end"));
  const std::string followed = log_of(container, {.follow = runner::LogFollow::yes});
  CHECK(followed.starts_with("1\n2\n3\n"));
  CHECK(followed.ends_with("199\n200\nend"));
  CHECK(followed == log_of(container));
}
