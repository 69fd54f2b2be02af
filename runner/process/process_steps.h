#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "process/handshake.h"
#include "runner/spec.h"
#include "security/confinement.h"
#include "security/id_map.h"

/// Steps of the child that a container's first process (init.h) and a command executed beside it
/// (exec_child.h) have in common. They run in the child, in the order in which they stand here.
namespace lay::runner {

/// What becomes of a process of the container when the one of lay that made it is gone.
enum class Supervision {
  by_parent,  ///< it dies, too
  by_others,  ///< it lives on: the engine that called lay as its OCI runtime has it
};

/// prctl(2) PR_SET_DUMPABLE: who is root of the user namespace that this process enters may not look into it.
void shut_others_out();

/// setsid(2)
void begin_session();

/// Cuts the ties to whoever called lay: nobody may look into this process, which is still lay's program
/// (prctl(2) PR_SET_DUMPABLE); it dies with its supervisor; session, signal mask and handlers are new.
void leave_caller();

/// Waits until the parent has made the container's cgroups, and enters them (cgroup/cgroup.h).
void enter_finished(const ChildEnd& parent);

/// keyctl(2): the container's own session keyring, made by its first process and joined by those that exec
/// starts, so that keys of the host's session are out of reach. As the root that the container has. A kernel
/// without keyrings has none to protect.
void join_session_keyring(const std::string& container_id);

/// setdomainname(2), in a uts namespace of the container's own.
void set_domainname(const Spec& spec);

/// Throws invalid for a type that there is not, or a soft limit above the hard one.
void check_rlimit(const Rlimit& limit);
/// Raises hard limits that are lower, of another process or (0) this one: for one that will set them when it
/// has no right over the host any more.
void raise_hard_limits(pid_t pid, const std::vector<Rlimit>& limits);

/// prctl(2) PR_SET_PDEATHSIG: dies with the parent at the other end of `parent`, at once when that is gone
/// already.
void stay_with_supervisor(const ChildEnd& parent);

/// prctl(2) PR_SET_PDEATHSIG: no longer dies with its supervisor.
void outlive_supervisor();

/// What becomes of a working folder that is not there.
enum class MissingFolder {
  made,     ///< with root's rights, as docker does for a container
  refused,  ///< for a command that is executed in one
};

struct BecomeOptions {
  Supervision supervision = Supervision::by_parent;
  bool has_callers_stdio = false;  ///< its standard streams are not of lay's making
  bool is_scheduled = false;       ///< apply_scheduling() is done: in a user namespace it would be refused
  unsigned preserved_fds = 0;      ///< descriptors from 3 on that the command keeps
  MissingFolder missing_folder = MissingFolder::made;
  std::optional<IdMaps> ids = {};                ///< of the user namespace it is in; empty: lay's own
  std::vector<UniqueFd>* last_groups = nullptr;  ///< entered by who is born
  ChildEnd* birth = nullptr;           ///< last it is born into a pid namespace, and tells this end: birth.h
  bool limits_processes_last = false;  ///< RLIMIT_NPROC is set by who is born: its user may have room for one
  bool has_terminal = false;           ///< standard input is a terminal, to be taken by who is born
};

/// Everything from "root with all rights inside the container" to the command itself: user, working folder,
/// capabilities, landlock, seccomp, descriptors, execve. Throws what failed.
[[noreturn]] void become(const Process& process, const Confinement& confinement, const ChildEnd& parent,
                         const BecomeOptions& options = {});

}  // namespace lay::runner
