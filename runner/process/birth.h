#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "process/handshake.h"
#include "process/onlookers.h"
#include "process/process.h"
#include "runner/spec.h"
#include "security/confinement.h"

/// How a command comes into the pid namespace of a container that runs already. Whoever is seen there can be
/// looked into by a container with CAP_SYS_PTRACE: root folder, memory, descriptors, program. So what
/// prepares the command stays outside, and the child in which it goes on has nothing left that is not the
/// command's.
namespace lay::runner {

enum class BirthTime {
  early,  ///< in the container's namespaces, with all rights
  late,   ///< as the last step before the command is executed
};

/// Late, unless what is asked for needs a process inside sooner: a seccomp profile that does not let the
/// command clone, or that has an agent, which a thread tells; a scheduling that no child has
/// (may_have_children()). Throws unsupported where it would be early among tracers.
BirthTime birth_time(const Process& process, const Confinement& confinement, Onlookers onlookers);

/// What the filter lets who is born late do; the rest is left out.
bool may_enter_group(const SeccompFilter& filter);
bool may_begin_session(const SeccompFilter& filter);
bool may_take_terminal(const SeccompFilter& filter);
bool may_die_with_parent(const SeccompFilter& filter);
bool may_limit_processes(const SeccompFilter& filter);

/// What the user has to know of a terminal that a profile denies; empty when all is well.
std::optional<std::string> note_on_terminal(const SeccompFilter& filter);

/// The calling process ends, and goes on in a child of its parent (CLONE_PARENT), in the pid namespace that
/// is set for its children. `teller` gets the child's pidfd, and is closed in the child.
void be_born(ChildEnd& teller);

/// Children of this process: also those of whoever executed it, such as a shell's `>(tee log)`. proc(5),
/// /proc/<pid>/task/<tid>/children.
std::vector<pid_t> list_children();

/// In the parent: the child that be_born() told of, when its predecessor `between` has ended; throws what
/// either sent to `parent`. Then no child is left but `others`, list_children() from before.
ChildProcess wait_for_birth(ChildProcess between, const ParentEnd& told, const ParentEnd& parent,
                            const std::vector<pid_t>& others);

}  // namespace lay::runner
