#pragma once

#include <string>

#include "base/unique_fd.h"
#include "cgroup/cgroup.h"
#include "process/handshake.h"
#include "process/process_steps.h"
#include "process/stdio_pipes.h"
#include "runner/spec.h"
#include "security/confinement.h"

namespace lay::runner {

/// What a command needs that joins a running container.
struct ExecPlan {
  std::string container_id;
  Process process;  ///< the container's own, with the request put in
  Confinement confinement;
  UniqueFd first_process;       ///< pidfd of the container's first process, whose namespaces are entered
  bool user_namespace = false;  ///< the container has one of its own
  bool time_namespace = false;
  ChildStdio stdio;          ///< empty with a terminal
  bool keeps_stdio = false;  ///< standard streams stay the caller's; without a terminal
  BecomeOptions become;
};

/// The child, already in the container's pid namespace, until execve. What fails is sent to the parent.
[[noreturn]] void run_exec_child(const ExecPlan& plan, const CgroupGuard& cgroup,
                                 const ChildEnd& parent) noexcept;

}  // namespace lay::runner
