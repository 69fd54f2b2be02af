#include "security/seccomp_listener.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/fd_message.h"
#include "process/unix_socket.h"

namespace lay::runner {

namespace {

constexpr int kUndecided = -1;
constexpr int kNoFilter = -2;
constexpr std::size_t kStackSize = 64UL * 1024;

/// Between the thread that loads the filter and the one that hands its descriptor over. Once it is loaded the
/// first must not make a call before the agent can answer it: it looks at this memory only.
struct Exchange {
  const UniqueFd& socket;
  const std::string& message;
  std::atomic<int> descriptor = kUndecided;  ///< or kNoFilter
  std::atomic<int> error = 0;                ///< errno of what failed
  std::atomic<pid_t> thread = 1;             ///< 0 when it has ended: CLONE_CHILD_CLEARTID
};

int hand_over(void* argument) {
  auto& exchange = *static_cast<Exchange*>(argument);
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 20'000};
  while (exchange.descriptor == kUndecided) ::nanosleep(&kPause, nullptr);
  if (exchange.descriptor == kNoFilter) return 0;
  try {
    const UniqueFd descriptor(exchange.descriptor);
    send_fd(exchange.socket, exchange.message, descriptor);
  } catch (const Error& error) {
    exchange.error = error.error_number() == 0 ? EIO : error.error_number();
  }
  return 0;
}

/// A thread that no filter of this one reaches, and that leaves nothing behind for the container's first
/// process to reap. Not a pthread: joining one takes system calls.
void start_thread(Exchange& exchange, std::vector<char>& stack) {
  constexpr int kFlags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
  if (::clone(hand_over, stack.data() + stack.size(), kFlags, &exchange, nullptr, nullptr, &exchange.thread) <
      0)
    throw Error::from_errno("start the thread for the seccomp agent");
}

/// Without a system call: it takes as long as the other thread needs to send a message.
void wait_for_end_of(const Exchange& exchange) {
  while (exchange.thread != 0) continue;
}

}  // namespace

std::optional<SeccompListener> connect_seccomp_listener(const Linux& linux_part, Json state) {
  if (linux_part.seccomp != SeccompProfile::listed || linux_part.seccomp_rules->listener_path.empty())
    return std::nullopt;
  const Seccomp& rules = *linux_part.seccomp_rules;
  Json process_state{{"ociVersion", state.value("ociVersion", "")}, {"fds", {"seccompFd"}}};
  if (!rules.listener_metadata.empty()) process_state["metadata"] = rules.listener_metadata;
  process_state["state"] = std::move(state);
  return with_context(fmt::format("seccomp agent at '{}'", printable(rules.listener_path)), [&] {
    return SeccompListener{.socket = connect_unix_socket(rules.listener_path),
                           .proc = sys::open_at(sys::cwd(), "/proc", O_PATH | O_DIRECTORY),
                           .process_state = std::move(process_state)};
  });
}

void load_seccomp_for(const SeccompListener& listener, const SeccompFilter& filter) {
  Json process_state = listener.process_state;
  const auto pid = parse_number(sys::readlink_at(listener.proc, "self")).value_or(0);
  process_state["pid"] = pid;
  process_state["state"]["pid"] = pid;
  const std::string message = dump_json(process_state);

  Exchange exchange{.socket = listener.socket, .message = message};
  std::vector<char> stack(kStackSize);
  start_thread(exchange, stack);
  try {
    exchange.descriptor = load_seccomp(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  } catch (const Error&) {
    exchange.descriptor = kNoFilter;
    wait_for_end_of(exchange);
    throw;
  }
  wait_for_end_of(exchange);
  if (exchange.error != 0) throw Error::from_number(exchange.error, "hand the filter to the seccomp agent");
}

}  // namespace lay::runner
