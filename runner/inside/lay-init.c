/* The first process of a container with --init, executed by process/reaper.cpp: hands the signals that it gets on to
 * the command, waits for whatever the container leaves to it, and ends when the command does, with the same exit code
 * (128 + N after signal N).
 *
 *   lay-init NUMBER    the command's process, a child of this one; all signals are blocked
 *
 * A program of its own, so that nothing of lay's memory stays inside, and linked with musl: a few pages, ready at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

/* Waits for every child that has ended; ends this process when `command` is among them. */
static void reap(pid_t command) {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == command) _exit(exit_code_of(status));
    if (pid == 0 || (pid < 0 && errno == ECHILD)) return;
    if (pid < 0 && errno != EINTR) _exit(125); /* the seccomp profile forbids it: it could never end */
  }
}

int main(int count, char** words) {
  if (count != 2) return 125;
  const pid_t command = (pid_t)atoi(words[1]);
  memset(words[1], 0, strlen(words[1])); /* who lists processes sees the name alone */
  prctl(PR_SET_NAME, "lay-init");
  prctl(PR_SET_DUMPABLE, 0);
  /* Whoever waits for the end of a pipe or socket waits for the command. */
  syscall(SYS_close_range, 0U, ~0U, 0U);

  sigset_t all;
  memset(&all, 0xff, sizeof all); /* sigfillset() of musl leaves SIGRTMIN out */
  reap(command);
  for (;;) {
    siginfo_t info;
    const int number = sigwaitinfo(&all, &info);
    if (number == SIGCHLD)
      reap(command);
    else if (number > 0)
      kill(command, number);
    else if (errno != EINTR && errno != EAGAIN)
      _exit(125); /* as above */
  }
}
