#include "process/birth.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/scheduling.h"
#include "security/seccomp_answer.h"

namespace lay::runner {

namespace {

/// Passed by docker's profile, which looks at clone's flags and answers ENOSYS to clone3.
constexpr std::uint64_t kCloneFlags = CLONE_PARENT | CLONE_PIDFD;

constexpr std::size_t kMostChildren = 64UL * 1024;

/// The calls of be_born().
bool may_be_born(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_clone, {kCloneFlags}) && lets_pass(filter, SYS_sendmsg) &&
         lets_pass(filter, SYS_close) && lets_pass(filter, SYS_exit_group);
}

Error seen_with_all_rights() {
  return Error(Errc::unsupported,
               "its seccomp profile or its scheduling lets a command be prepared only where processes of the "
               "container can look into it (CAP_SYS_PTRACE), and it has all rights of the host until it is "
               "ready")
      .with_hint(
          "run the container with --userns auto or without --cap-add SYS_PTRACE, or with another profile; "
          "where exec or another container has brought that right, start it anew");
}

Error no_birth() {
  Error error = Error::from_errno("create the command's process");
  if (error.error_number() == EAGAIN)
    error.with_hint(
        "the container's --pids-limit or its user's nproc limit leaves no room for one more, or with "
        "CAP_SYS_PTRACE for two");
  return error;
}

/// Of a process between that was killed after it had cloned and before it could tell: a command would run
/// that nobody knows of.
void kill_untold(const std::vector<pid_t>& others) {
  for (const pid_t pid : list_children())
    if (std::ranges::find(others, pid) == others.end()) ::kill(pid, SIGKILL);
}

}  // namespace

std::vector<pid_t> list_children() {
  const std::string path = fmt::format("/proc/self/task/{}/children", ::getpid());
  const auto list = sys::try_open_at(sys::cwd(), path, O_RDONLY);
  std::vector<pid_t> children;
  if (!list) return children;
  for (const std::string& word : split(sys::read_all(*list, kMostChildren), ' '))
    if (const auto pid = parse_number(word)) children.push_back(static_cast<pid_t>(*pid));
  return children;
}

bool may_begin_session(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_setsid);
}

bool may_take_terminal(const SeccompFilter& filter) {
  return may_begin_session(filter) && lets_pass(filter, SYS_ioctl, {STDIN_FILENO, TIOCSCTTY});
}

bool may_enter_group(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_write);
}

bool may_limit_processes(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_prlimit64, {0, RLIMIT_NPROC});
}

std::optional<std::string> note_on_terminal(const SeccompFilter& filter) {
  if (may_take_terminal(filter)) return std::nullopt;
  return fmt::format(
      "the seccomp profile denies {}: the command cannot take its terminal, so that Ctrl-C and the like do "
      "not reach it, and shells have no job control",
      may_begin_session(filter) ? "ioctl TIOCSCTTY" : "setsid");
}

bool may_die_with_parent(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_prctl, {PR_SET_PDEATHSIG}) && lets_pass(filter, SYS_recvfrom);
}

BirthTime birth_time(const Process& process, const Confinement& confinement, Onlookers onlookers) {
  const bool may_wait =
      !confinement.listener && may_have_children(process) && may_be_born(confinement.seccomp);
  if (may_wait) return BirthTime::late;
  if (onlookers == Onlookers::tracers) throw seen_with_all_rights();
  return BirthTime::early;
}

void be_born(ChildEnd& teller) {
  int pidfd = -1;
  const long pid = ::syscall(SYS_clone, kCloneFlags, nullptr, &pidfd, nullptr, 0);
  if (pid < 0) throw no_birth();
  if (pid > 0) {
    teller.send_descriptor(UniqueFd{pidfd});
    ::_exit(0);
  }
  { const ChildEnd told = std::move(teller); }
}

ChildProcess wait_for_birth(ChildProcess between, const ParentEnd& told, const ParentEnd& parent,
                            const std::vector<pid_t>& others) {
  UniqueFd child = [&] {
    try {
      return told.receive_descriptor();
    } catch (const Error&) {
      kill_untold(others);
      parent.throw_reported();
      throw;
    }
  }();
  return ChildProcess::adopt(std::move(child), std::move(between));
}

}  // namespace lay::runner
