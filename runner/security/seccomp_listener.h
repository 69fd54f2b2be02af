#pragma once

#include <sys/types.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/unique_fd.h"
#include "runner/spec.h"
#include "security/seccomp.h"

/// The agent that answers the calls which a profile leaves to somebody else (SCMP_ACT_NOTIFY):
/// seccomp_unotify(2); runtime-spec, config-linux.md, "The Container Process State".
namespace lay::runner {

/// What a process needs to hand its filter's descriptor to the agent.
struct SeccompListener {
  UniqueFd socket;     ///< connected to seccomp.listenerPath
  UniqueFd proc;       ///< the host's /proc, in which the process finds its own number
  Json process_state;  ///< the message, but for that number
};

/// In the parent. `state` is the container's, as runtime.md has it, with a pid if it has a first process.
/// Empty when the profile leaves no call to an agent. The socket is still missing.
std::optional<SeccompListener> plan_seccomp_listener(const Linux& linux_part, Json state);

/// Where the path means what the user meant. Throws what keeps the agent from being reached.
UniqueFd connect_seccomp_agent(const std::string& path);
/// Throws when there is no socket at the path.
void require_seccomp_agent(const std::string& path);

/// Both, for a process that is started at once.
std::optional<SeccompListener> connect_seccomp_listener(const Linux& linux_part, Json state);

/// In the child, which has one thread, and has a second one as long as this lives, to hand the descriptor
/// over.
class SeccompHandover {
 public:
  /// While the process is scheduled as lay is: the second thread stays so.
  explicit SeccompHandover(const SeccompListener& listener);
  SeccompHandover(const SeccompHandover&) = delete;
  SeccompHandover& operator=(const SeccompHandover&) = delete;

  /// As load_seccomp(), and the agent has the descriptor before any other system call is made. Once. Throws
  /// when it cannot be handed over.
  void load(const SeccompFilter& filter);

 private:
  static int hand_over(void* handover);
  void wait_for_thread() const;

  const UniqueFd& socket_;
  std::string message_;
  std::vector<char> stack_;
  // Once the filter is loaded its thread must not make a call before the agent can answer: it looks at
  // memory.
  std::atomic<int> descriptor_;    ///< or what stands for none
  std::atomic<int> error_ = 0;     ///< errno of what failed
  std::atomic<pid_t> thread_ = 1;  ///< 0 when it has ended: CLONE_CHILD_CLEARTID
};

}  // namespace lay::runner
