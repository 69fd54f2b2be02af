#include "process/birth.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "process/scheduling.h"
#include "security/seccomp_answer.h"

namespace lay::runner {

namespace {

/// Passed by docker's profile, which looks at clone's flags and answers ENOSYS to clone3.
constexpr std::uint64_t kCloneFlags = CLONE_PARENT | CLONE_PIDFD;

/// The calls of be_born() and of what follows it.
bool may_be_born(const SeccompFilter& filter) {
  return lets_pass(filter, SYS_clone, {kCloneFlags}) && lets_pass(filter, SYS_sendmsg) &&
         lets_pass(filter, SYS_recvfrom) && lets_pass(filter, SYS_write) && lets_pass(filter, SYS_close) &&
         lets_pass(filter, SYS_exit_group) && lets_pass(filter, SYS_setsid) &&
         lets_pass(filter, SYS_ioctl, {STDIN_FILENO, TIOCSCTTY}) &&
         lets_pass(filter, SYS_prctl, {PR_SET_PDEATHSIG});
}

Error no_birth() {
  Error error = Error::from_errno("create the command's process");
  if (error.error_number() == EAGAIN)
    error.with_hint("the container's --pids-limit or its user's nproc limit leaves no room for one more");
  return error;
}

}  // namespace

BirthTime birth_time(const Process& process, const Confinement& confinement) {
  const bool may_wait =
      !confinement.listener && may_have_children(process) && may_be_born(confinement.seccomp);
  return may_wait ? BirthTime::late : BirthTime::early;
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
  return ChildProcess::adopt(std::move(child), std::move(between));
}

}  // namespace lay::runner
