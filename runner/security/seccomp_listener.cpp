#include "security/seccomp_listener.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/fd_message.h"
#include "process/unix_socket.h"
#include "security/seccomp_compile.h"

namespace lay::runner {

namespace {

constexpr int kUndecided = -1;
constexpr int kNoFilter = -2;
constexpr std::size_t kStackSize = 64UL * 1024;
/// A message to a socket whose buffer is empty; under real-time scheduling the other thread has to wait for
/// what the kernel leaves to ordinary ones (sched_rt_runtime_us).
constexpr std::chrono::seconds kPatience{10};

template <class Step>
auto at_agent(const std::string& path, const Step& step) {
  return with_context(fmt::format("seccomp agent at '{}'", printable(path)), step);
}

}  // namespace

std::optional<SeccompListener> plan_seccomp_listener(const Linux& linux_part, Json state) {
  if (linux_part.seccomp != SeccompProfile::listed || !has_agent(*linux_part.seccomp_rules))
    return std::nullopt;
  const Seccomp& rules = *linux_part.seccomp_rules;
  Json process_state{{"ociVersion", state.value("ociVersion", "")}, {"fds", {"seccompFd"}}};
  if (!rules.listener_metadata.empty()) process_state["metadata"] = rules.listener_metadata;
  process_state["state"] = std::move(state);
  return SeccompListener{.socket = {},
                         .proc = sys::open_at(sys::cwd(), "/proc", O_PATH | O_DIRECTORY),
                         .process_state = std::move(process_state)};
}

UniqueFd connect_seccomp_agent(const std::string& path) {
  return at_agent(path, [&] { return connect_unix_socket(path); });
}

void require_seccomp_agent(const std::string& path) {
  at_agent(path, [&] {
    const UniqueFd place = sys::open_at(sys::cwd(), path, O_PATH);
    if (!S_ISSOCK(sys::stat_of(place).st_mode)) throw Error(Errc::invalid, "is no socket");
  });
}

std::optional<SeccompListener> connect_seccomp_listener(const Linux& linux_part, Json state) {
  auto listener = plan_seccomp_listener(linux_part, std::move(state));
  if (listener) listener->socket = connect_seccomp_agent(linux_part.seccomp_rules->listener_path);
  return listener;
}

// A thread that no filter of this one reaches, and that leaves nothing behind for the container's first
// process to reap. Not a pthread: joining one takes system calls.
SeccompHandover::SeccompHandover(const SeccompListener& listener)
    : socket_(listener.socket), stack_(kStackSize), descriptor_(kUndecided) {
  Json process_state = listener.process_state;
  const auto pid = parse_number(sys::readlink_at(listener.proc, "self")).value_or(0);
  process_state["pid"] = pid;
  if (process_state["state"].value("pid", 0) == 0) process_state["state"]["pid"] = pid;
  message_ = dump_json(process_state);
  constexpr int kFlags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
  if (::clone(hand_over, stack_.data() + stack_.size(), kFlags, this, nullptr, nullptr, &thread_) >= 0)
    return;
  Error error = Error::from_errno("start the thread for the seccomp agent");
  if (error.error_number() == EAGAIN) error.with_hint("it takes a limit of at least two processes");
  throw error;
}

int SeccompHandover::hand_over(void* handover) {
  auto& self = *static_cast<SeccompHandover*>(handover);
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 20'000};
  while (self.descriptor_ == kUndecided) ::nanosleep(&kPause, nullptr);
  if (self.descriptor_ == kNoFilter) return 0;
  try {
    const UniqueFd descriptor(self.descriptor_);
    send_fd(self.socket_, self.message_, descriptor);
  } catch (const Error& error) {
    self.error_ = error.error_number() == 0 ? EIO : error.error_number();
  } catch (const std::exception&) {
    self.error_ = ENOMEM;
  }
  return 0;
}

/// Without a system call; the clock is read in memory, too (vdso(7)).
void SeccompHandover::wait_for_thread() const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (thread_ != 0)
    if (std::chrono::steady_clock::now() > deadline)
      throw Error(Errc::io, "the filter could not be handed to the seccomp agent in time");
}

void SeccompHandover::load(const SeccompFilter& filter) {
  try {
    descriptor_ = load_seccomp(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  } catch (const Error&) {
    descriptor_ = kNoFilter;
    wait_for_thread();
    throw;
  }
  wait_for_thread();
  if (error_ != 0) throw Error::from_number(error_, "hand the filter to the seccomp agent");
}

}  // namespace lay::runner
