#include "process/birth.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "security/seccomp_answer.h"

namespace lay::runner {

namespace {

/// Passed by docker's profile, which looks at clone's flags and answers ENOSYS to clone3.
constexpr std::uint64_t kCloneFlags = CLONE_PARENT | CLONE_PIDFD;

/// The calls of be_born() and of what follows it.
bool may_be_born(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_clone, {kCloneFlags}) && lets_pass(filter, SYS_sendmsg) &&
         lets_pass(filter, SYS_exit_group) && lets_pass(filter, SYS_setsid) &&
         lets_pass(filter, SYS_ioctl, {STDIN_FILENO, TIOCSCTTY}) &&
         lets_pass(filter, SYS_prctl, {PR_SET_PDEATHSIG});
}

bool may_have_children(const Process& process) {
  return !process.scheduler || process.scheduler->policy != "SCHED_DEADLINE";
}

}  // namespace

BirthTime birth_time(const Process& process, const Confinement& confinement) {
  const bool may_wait = confinement.label.file.empty() && !confinement.listener &&
                        may_have_children(process) && may_be_born(confinement.seccomp);
  return may_wait ? BirthTime::late : BirthTime::early;
}

void be_born(const ChildEnd& teller) {
  int pidfd = -1;
  const long pid = ::syscall(SYS_clone, kCloneFlags, nullptr, &pidfd, nullptr, 0);
  if (pid < 0) throw Error::from_errno("create the command's process");
  if (pid > 0) {
    teller.send_descriptor(UniqueFd{pidfd});
    ::_exit(0);
  }
  if (::setsid() < 0) throw Error::from_errno("begin a session");
}

ChildProcess wait_for_birth(ChildProcess between, const ParentEnd& told, const ParentEnd& parent) {
  UniqueFd child = [&] {
    try {
      return told.receive_descriptor();
    } catch (const Error&) {
      parent.throw_reported();
      throw;
    }
  }();
  const pid_t pid = number_in_proc(child);
  between.wait();
  return ChildProcess(pid, std::move(child));
}

}  // namespace lay::runner
