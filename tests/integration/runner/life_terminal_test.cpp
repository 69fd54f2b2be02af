#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>

#include "container_fixture.h"

using namespace lay;
using lay::test::ContainerFixture;

namespace {

/// A terminal as a user has one, with `body` in a process of its own that is controlled by it.
class UserTerminal {
 public:
  explicit UserTerminal(const std::function<int()>& body)
      : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(master_);
    REQUIRE(::grantpt(master_.get()) == 0);
    REQUIRE(::unlockpt(master_.get()) == 0);
    resize(40, 132);
    slave_ = sys::open_at(sys::cwd(), ::ptsname(master_.get()), O_RDWR | O_NOCTTY);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    ::setsid();
    ::ioctl(slave_.get(), TIOCSCTTY, 0);
    for (const int number : {0, 1, 2}) ::dup2(slave_.get(), number);
    try {
      ::_exit(body());
    } catch (const std::exception& error) {
      sys::write_all(slave_, error.what());
      ::_exit(125);
    }
  }
  UserTerminal(const UserTerminal&) = delete;
  UserTerminal& operator=(const UserTerminal&) = delete;
  ~UserTerminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void resize(unsigned short rows, unsigned short columns) const {
    const ::winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  void type(const std::string& text) const { sys::write_all(master_, text); }
  /// Reads until `text` is on the screen; false after ten seconds.
  bool shows(const std::string& text) {
    return test::poll_until([&] {
      ::pollfd entry{.fd = master_.get(), .events = POLLIN, .revents = 0};
      std::array<std::byte, 4096> block;
      while (::poll(&entry, 1, 0) > 0 && (entry.revents & POLLIN) != 0) {
        const std::size_t count = sys::read_some(master_, block);
        screen_.append(reinterpret_cast<const char*>(block.data()), count);
      }
      return screen_.find(text) != std::string::npos;
    });
  }
  bool is_raw() const {
    ::termios settings{};
    ::tcgetattr(slave_.get(), &settings);
    return (settings.c_lflag & (ICANON | ECHO)) == 0;
  }
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(std::exchange(pid_, 0), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  pid_t pid() const { return pid_; }

 private:
  UniqueFd master_;
  UniqueFd slave_;
  pid_t pid_ = 0;
  std::string screen_;
};

runner::ContainerConfig with_terminal(runner::ContainerConfig config) {
  config.spec.process.terminal = true;
  config.open_stdin = true;
  return config;
}

}  // namespace

TEST_CASE("with -t the command has a terminal of its own that works as a terminal", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(with_terminal(fixture.config({"sh"})));
  UserTerminal user([&] { return runner::run_attached(fixture.store(), container).exit_code; });
  user.type("tty; test -t 0 && test -t 1 && test -t 2 && echo all-$((1+1)); stty size; echo $TERM\n");
  CHECK(user.shows("/dev/pts/0\r\n"));
  CHECK(user.shows("all-2\r\n"));
  CHECK(user.shows("40 132\r\n"));
  CHECK(user.shows("xterm\r\n"));
  CHECK(user.is_raw());
  user.resize(25, 81);
  ::kill(user.pid(), SIGWINCH);
  user.type("until stty size | grep '25 81'; do sleep 0.01; done\n");
  CHECK(user.shows("25 81\r\n"));
  user.type("(trap 'echo got-$((2+2)); exit' INT; echo job-$((3+3)); while :; do sleep 0.05; done)\n");
  CHECK(user.shows("job-6\r\n"));
  user.type("\003");  // control-C reaches the job inside, not lay
  CHECK(user.shows("got-4\r\n"));
  user.type("exit 6\n");
  CHECK(user.wait() == 6);
  CHECK_FALSE(user.is_raw());
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("the user's terminal is put back after a failed start", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(with_terminal(fixture.config({"no-such"})));
  UserTerminal user([&] { return runner::run_attached(fixture.store(), container).exit_code; });
  CHECK(user.shows("'no-such' not found"));
  CHECK(user.wait() == 125);
  CHECK_FALSE(user.is_raw());
}

TEST_CASE("exec -t has a terminal in the container's own devpts", "[runner][exec]") {
  const ContainerFixture fixture;
  const auto container = fixture.run_detached(fixture.script("while :; do sleep 0.05; done"));
  UserTerminal user([&] {
    return runner::exec_in(fixture.store(), container, {.args = {"sh"}, .terminal = true, .open_stdin = true})
        .exit_code;
  });
  user.type("tty; stty size; ls /dev/pts\n");
  CHECK(user.shows("/dev/pts/0\r\n"));
  CHECK(user.shows("40 132\r\n"));
  user.type("exit 8\n");
  CHECK(user.wait() == 8);
  CHECK_FALSE(user.is_raw());
}

TEST_CASE("P04: exec -t refuses a forged pty device", "[runner][exec]") {
  const ContainerFixture fixture;
  // With the right to unmount, which the defaults give nobody.
  auto config = fixture.script(
      "umount /dev/pts; ln -s /dev/null /dev/pts/ptmx; echo ready; while :; do sleep 0.05; done");
  for (auto* set : {&config.spec.process.capabilities.bounding, &config.spec.process.capabilities.permitted,
                    &config.spec.process.capabilities.effective})
    set->emplace_back("CAP_SYS_ADMIN");
  config.spec.linux_.seccomp = runner::SeccompProfile::unconfined;
  const auto forger = fixture.run_detached(config);
  REQUIRE(test::poll_until(
      [&] { return test::file_text(forger.path() + "/log").find("ready") != std::string::npos; }));
  UserTerminal user([&] {
    return runner::exec_in(fixture.store(), forger, {.args = {"sh"}, .terminal = true, .open_stdin = true})
        .exit_code;
  });
  CHECK(user.shows("/dev/pts/ptmx"));
  CHECK(user.wait() == 125);
}

TEST_CASE("a detached terminal's output is in the log", "[runner][log]") {
  const ContainerFixture fixture;
  auto config = fixture.config({"tty"});
  config.spec.process.terminal = true;
  const auto container = fixture.run_detached(config);
  CHECK(runner::wait_container(container) == 0);
  std::string text;
  runner::read_log(container, {}, [&](runner::LogStream, const std::string& piece) { text += piece; });
  CHECK(text == "/dev/pts/0\r\n");
}

TEST_CASE("signals to lay are passed on to the command", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(
      fixture.script("trap 'exit 33' INT; trap 'exit 34' TERM; echo ready; while :; do sleep 0.02; done"));
  UserTerminal user([&] { return runner::run_attached(fixture.store(), container).exit_code; });
  REQUIRE(user.shows("ready"));
  ::kill(user.pid(), SIGTERM);
  CHECK(user.wait() == 34);
  UserTerminal again([&] { return runner::run_attached(fixture.store(), container).exit_code; });
  REQUIRE(again.shows("ready"));
  again.type("\003");
  CHECK(again.wait() == 33);
  CHECK(fixture.leftovers().empty());
}

TEST_CASE("a reader that goes away closes the command's output", "[runner][life]") {
  const ContainerFixture fixture;
  const auto container = fixture.store().create(fixture.config({"yes"}));
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::_exit(runner::run_attached(fixture.store(), container).exit_code);
  }
  ::close(ends[1]);
  UniqueFd reader(ends[0]);
  std::array<std::byte, 1000> block;
  CHECK(sys::read_some(reader, block) > 0);
  reader.reset();
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(fixture.leftovers().empty());
}
