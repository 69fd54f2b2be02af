#include "process/reaper.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/process_title.h"

namespace lay::runner {

namespace {

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Waits for every child that has ended; ends this process when `command` is among them.
void reap(pid_t command) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid == command) ::_exit(exit_code_of(status));
    if (pid == 0 || (pid < 0 && errno != EINTR)) return;
  }
}

[[noreturn]] void run_reaper(pid_t command, const ::sigset_t& all) {
  set_process_title("lay-init");         // the words were given to lay on the host
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // a change of user may have set it anew
  // Whoever waits for the end of a pipe or socket waits for the command
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  for (;;) {
    ::siginfo_t info{};
    const int number = ::sigwaitinfo(&all, &info);
    if (number == SIGCHLD)
      reap(command);
    else if (number > 0)
      ::kill(command, number);
  }
}

/// A background process that asks for the terminal is stopped (SIGTTOU), unless that is blocked.
void take_foreground() {
  ::setpgid(0, 0);
  if (::isatty(STDIN_FILENO) == 1) ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
}

}  // namespace

void leave_reaper_behind() {
  ::sigset_t all;
  ::sigset_t before;
  ::sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, &before) < 0) throw Error::from_errno("block signals");
  const pid_t command = ::fork();
  if (command < 0) throw Error::from_errno("fork beside the container's init");
  if (command > 0) run_reaper(command, all);
  take_foreground();
  if (::sigprocmask(SIG_SETMASK, &before, nullptr) < 0) throw Error::from_errno("unblock signals");
}

}  // namespace lay::runner
