#include "base/detach.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/process_title.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay {

namespace {

std::vector<int> open_descriptors() {
  struct Closer {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Closer> dir(::opendir("/proc/self/fd"));
  if (!dir) throw Error::from_errno("list open descriptors");
  std::vector<int> numbers;
  while (const dirent* entry = ::readdir(dir.get()))
    if (const auto number = parse_number(entry->d_name)) numbers.push_back(static_cast<int>(*number));
  return numbers;
}

void leave_session_of_caller() {
  const UniqueFd null = sys::open_at(sys::cwd(), "/dev/null", O_RDWR);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(null.get(), number) < 0) throw Error::from_errno("open /dev/null as descriptor {}", number);
  if (::chdir("/") < 0) throw Error::from_errno("enter '/'");
}

}  // namespace

/// lay's own descriptors are all marked to be closed by exec; those that are not were inherited.
void close_inherited() {
  for (const int number : open_descriptors()) {
    const int flags = ::fcntl(number, F_GETFD);
    if (number > STDERR_FILENO && flags >= 0 && (flags & FD_CLOEXEC) == 0) ::close(number);
  }
}

bool detach(Descriptors kept) {
  // Beside the caller and the process in the background there is one that leads the new session and ends at
  // once, so that the other can never get a controlling terminal. It does nothing but these few calls and so
  // needs no memory of its own: vfork(2), whose caller waits until it has ended. Killed in fork(3) it would
  // leave the caller locks of malloc and stdio that nobody opens; _Fork(3) takes none. There are no other
  // threads that could hold them.
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork)
  const pid_t leader = ::vfork();
  if (leader < 0) throw Error::from_errno("start a process in the background");
  if (leader > 0) {
    int status = 0;
    if (sys::retry_eintr([&] { return ::waitpid(leader, &status, 0); }) < 0 || status != 0)
      throw Error(Errc::io, "start a process in the background: its first process failed");
    return false;
  }
  if (::setsid() < 0) ::_exit(1);  // NOLINT(clang-analyzer-unix.Vfork)
  // NOLINTNEXTLINE(clang-analyzer-unix.Vfork)
  if (kept == Descriptors::none && ::close_range(STDERR_FILENO + 1, ~0U, 0) < 0) ::_exit(1);
  const pid_t background = ::_Fork();  // NOLINT(clang-analyzer-unix.Vfork)
  if (background != 0) ::_exit(background < 0 ? 1 : 0);
  try {
    leave_session_of_caller();
    if (kept == Descriptors::own) close_inherited();
    if (kept != Descriptors::all) set_process_title("lay: in the background");
  } catch (const std::exception&) {
    ::_exit(1);
  }
  return true;
}

}  // namespace lay
