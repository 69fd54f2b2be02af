#include "delegate/adopt.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxPidFile = 32;

}  // namespace

OrphansAdopted::OrphansAdopted() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) throw Error::from_errno("adopt orphans");
}

OrphansAdopted::~OrphansAdopted() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

ChildProcess adopt_process(const UniqueFd& dir, const std::string& pid_file) {
  const std::string text = sys::read_all(sys::open_at(dir, pid_file, O_RDONLY | O_NOFOLLOW), kMaxPidFile);
  const auto pid = parse_number(std::string_view(text).substr(0, text.find('\n')));
  if (!pid || *pid == 0) throw Error::make(Errc::io, "its pid file has '{}'", printable(text));
  auto pidfd = open_process(static_cast<pid_t>(*pid));
  if (!pidfd) throw Error(Errc::io, "its process has ended already");
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd->get()), &info, WEXITED | WNOHANG | WNOWAIT) < 0)
    throw Error::make(Errc::unsupported, "process {}, which its pid file names, is no child of it", *pid)
        .with_hint("lay needs a runtime that starts the container's process itself");
  return {static_cast<pid_t>(*pid), std::move(*pidfd)};
}

}  // namespace lay::runner
