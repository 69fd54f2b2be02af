#include "process/reaper.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/memory_program.h"

namespace lay::runner {

namespace {

constexpr auto kInitProgram = std::to_array<unsigned char>({
#include "lay_init.inc"
});

[[noreturn]] void become_init(const InitProgram& init, pid_t command, const ChildEnd& parent) {
  std::string name = "lay-init";
  std::string number = std::to_string(command);
  const std::array<char*, 3> words{name.data(), number.data(), nullptr};
  const std::array<char*, 1> environment{nullptr};
  ::execveat(init.program.get(), "", words.data(), environment.data(), AT_EMPTY_PATH);
  parent.send_error(Error::from_errno("execute the container's init")
                        .with_hint("a seccomp profile has to allow execveat(2); or leave out --init"));
  const char failed = 'f';
  static_cast<void>(::write(init.starting.get(), &failed, 1) == 1);
  ::_exit(1);
}

/// In the child: a byte says that it has failed, which ends the container.
void wait_for_init(const UniqueFd& started) {
  char byte = 0;
  if (sys::retry_eintr([&] { return ::read(started.get(), &byte, 1); }) != 0) ::_exit(1);
}

/// A background process that asks for the terminal is stopped (SIGTTOU), unless that is blocked.
void take_foreground() {
  ::setpgid(0, 0);
  if (::isatty(STDIN_FILENO) == 1) ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
}

}  // namespace

void adopt_orphans() {
  if (::getpid() != 1) ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

InitProgram make_init_program() {
  InitProgram init{.program = make_memory_program("lay-init"), .started = {}, .starting = {}};
  sys::write_all(init.program,
                 std::string_view(reinterpret_cast<const char*>(kInitProgram.data()), kInitProgram.size()));
  seal(init.program);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error::from_errno("make a pipe");
  init.started = UniqueFd{ends[0]};
  init.starting = UniqueFd{ends[1]};
  return init;
}

void leave_reaper_behind(InitProgram init, const ChildEnd& parent) {
  ::sigset_t all;
  ::sigset_t before;
  ::sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, &before) < 0) throw Error::from_errno("block signals");
  const pid_t command = ::fork();
  if (command < 0) throw Error::from_errno("fork beside the container's init");
  if (command > 0) become_init(init, command, parent);
  init.starting.reset();
  take_foreground();
  wait_for_init(init.started);
  if (::sigprocmask(SIG_SETMASK, &before, nullptr) < 0) throw Error::from_errno("unblock signals");
}

}  // namespace lay::runner
