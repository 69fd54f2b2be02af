#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "cgroup/cgroup.h"
#include "cgroup/resctrl.h"
#include "process/birth.h"
#include "process/handshake.h"
#include "process/onlookers.h"
#include "process/process.h"
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
  UniqueFd program;             ///< open_own_program()
  UniqueFd first_process;       ///< pidfd of the container's first process, whose namespaces are entered
  UniqueFd root;                ///< of the container, where its mount namespace's is another; else empty
  bool user_namespace = false;  ///< the container has one of its own
  bool time_namespace = false;
  std::optional<ResctrlGroup> resctrl;  ///< entered like the cgroup
  bool may_leave_group = true;  ///< to that of the first process, when the group can have no processes
  bool has_own_keyring = true;  ///< the container has one, which is joined
  ChildStdio stdio;             ///< empty with a terminal
  bool keeps_stdio = false;     ///< standard streams stay the caller's; without a terminal
  KnownOnlookers onlookers;     ///< held until the command is executed
  BecomeOptions become;
  const UniqueFd* signals = nullptr;  ///< those that end waiting: ParentEnd::heed(); null: none
  BirthTime birth = BirthTime::late;  ///< settled by clone_exec_child()
};

/// On its way into the container.
struct ExecChild {
  std::vector<pid_t> others;  ///< list_children() from before
  ChildProcess between;       ///< outside of the container's pid namespace
  ParentEnd birth;            ///< tells of the command's process
};

/// Clones the child, which goes on until execve in the namespaces of the first process, whose number on the
/// host is `first`: birth.h. What fails is sent to the parent's end. The calling process must have one
/// thread.
ExecChild clone_exec_child(ExecPlan& plan, pid_t first, const CgroupGuard& cgroup, Handshake& handshake);

/// When the child is cloned: what the command's profile keeps from it of its terminal. `tell` may be empty.
void tell_of_terminal(const ExecPlan& plan, const std::function<void(const std::string& note)>& tell);

/// The command's process, when it is in the container's pid namespace; throws what was sent to `parent`.
ChildProcess wait_for_exec_child(ExecChild child, const ExecPlan& plan, const ParentEnd& parent);

}  // namespace lay::runner
