#include "process/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// Field number 22 counted from the one after the command's name, which is field 2.
constexpr std::size_t kStartTimeAfterName = 19;

int wait_id(const UniqueFd& pidfd, siginfo_t& info, int flags = 0) {
  return sys::retry_eintr(
      [&] { return ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | flags); });
}

/// How long whoever traces a process may keep it when it has ended.
constexpr std::chrono::milliseconds kTracersTime{1000};
/// And until one that was killed has ended and is let go.
constexpr std::chrono::milliseconds kKilledTime{5000};

/// `info` stays empty when whoever traces the process does not let it go: in the end its adoptive parent
/// reaps it.
void reap(const UniqueFd& pidfd, siginfo_t& info, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kPause{10};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (wait_id(pidfd, info, WNOHANG) < 0 || info.si_pid != 0) return;
    if (std::chrono::steady_clock::now() > deadline) return;
    // While it is there, this returns as soon as it has ended; and else at once
    if (wait_for_end(pidfd, kPause)) std::this_thread::sleep_for(kPause);
  }
}

/// Of one that has ended and is not reaped: the last field of /proc/<pid>/stat, proc(5), as wait(2) has it.
std::optional<int> exit_code_in_proc(const UniqueFd& pidfd) {
  const pid_t pid = number_in_proc(pidfd);
  const auto fd = sys::try_open_at(sys::cwd(), fmt::format("/proc/{}/stat", pid), O_RDONLY);
  if (!fd) return std::nullopt;
  const std::string text = sys::read_all(*fd, 4096);
  const std::vector<std::string> fields =
      split(std::string_view(text).substr(0, text.find_last_not_of('\n') + 1), ' ');
  const auto status = parse_number(fields.back());
  if (!status) return std::nullopt;
  const auto code = static_cast<int>(*status);
  return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

/// pidfd_open(2): besides ESRCH, a number that is a thread's, or that of a process about to be reaped, is
/// EINVAL, and ENOENT since Linux 6.15.
bool is_no_process(int error) {
  return error == ESRCH || error == EINVAL || error == ENOENT;
}

}  // namespace

std::optional<UniqueFd> open_process(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return UniqueFd{static_cast<int>(fd)};
  if (pid > 0 && is_no_process(errno)) return std::nullopt;
  throw Error::from_errno("open process {}", pid);
}

bool send_signal(const UniqueFd& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw Error::from_errno("send signal {}", signal);
}

std::optional<std::uint64_t> start_time(pid_t pid) {
  try {
    const auto fd = sys::try_open_at(sys::cwd(), fmt::format("/proc/{}/stat", pid), O_RDONLY);
    if (!fd) return std::nullopt;
    const std::string text = sys::read_all(*fd, 4096);
    const std::size_t name_end = text.rfind(')');  // the name may hold anything, brackets and spaces included
    if (name_end == std::string::npos) return std::nullopt;
    const std::vector<std::string> fields = split(std::string_view(text).substr(name_end + 2), ' ');
    if (fields.size() <= kStartTimeAfterName) return std::nullopt;
    return parse_number(fields[kStartTimeAfterName]);
  } catch (const Error& error) {
    if (error.error_number() == ESRCH) return std::nullopt;  // it ended between open and read
    throw;
  }
}

pid_t number_in_proc(const UniqueFd& pidfd) {
  constexpr std::string_view kKey = "Pid:\t";
  const UniqueFd fd = sys::open_at(sys::cwd(), fmt::format("/proc/self/fdinfo/{}", pidfd.get()), O_RDONLY);
  for (const std::string& line : split(sys::read_all(fd, 4096), '\n'))
    if (line.starts_with(kKey))
      if (const auto number = parse_number(std::string_view(line).substr(kKey.size())))
        return static_cast<pid_t>(*number);
  return 0;
}

bool wait_for_end(const UniqueFd& pidfd, std::optional<std::chrono::milliseconds> timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout.value_or(std::chrono::milliseconds(0));
  for (;;) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    ::pollfd entry{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    const int count = ::poll(&entry, 1, timeout ? static_cast<int>(std::max<long>(rest, 0)) : -1);
    if (count > 0) return true;
    if (count == 0) return false;
    if (errno != EINTR) throw Error::from_errno("wait for a process");
  }
}

void set_namespaces(const UniqueFd& fd, int types) {
  if (::setns(fd.get(), types) < 0) throw Error::from_errno("enter the container's namespaces");
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}

ChildProcess::~ChildProcess() {
  if (!pidfd_) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  reap(pidfd_, info, kKilledTime);
}

std::optional<ChildProcess> ChildProcess::clone(std::uint64_t flags, const UniqueFd* birthplace) {
  int pidfd = -1;
  ::clone_args args{};
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  args.exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;  // with it as the caller's own, clone(2)
  if (birthplace != nullptr) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<decltype(args.cgroup)>(birthplace->get());
  }
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) throw Error::from_errno("create the container's process");
  if (pid == 0) return std::nullopt;
  return ChildProcess(static_cast<pid_t>(pid), UniqueFd{pidfd});
}

ChildProcess ChildProcess::adopt(UniqueFd pidfd, ChildProcess between) {
  const pid_t pid = number_in_proc(pidfd);
  between.wait();
  return ChildProcess(pid, std::move(pidfd));
}

int ChildProcess::wait() {
  siginfo_t info{};
  if (wait_id(pidfd_, info, WNOHANG) < 0) throw Error::from_errno("wait for process {}", pid_);
  if (info.si_pid == 0) {
    wait_for_end(pidfd_, std::nullopt);
    reap(pidfd_, info, kTracersTime);
  }
  const std::optional<int> kept = info.si_pid == 0 ? exit_code_in_proc(pidfd_) : std::nullopt;
  pidfd_.reset();
  if (info.si_pid != 0) return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  if (kept) return *kept;
  throw Error::make(Errc::io, "process {} has ended, and who traces it does not let it go", pid_)
      .with_hint("its exit code cannot be told; end the tracer in the container");
}

}  // namespace lay::runner
