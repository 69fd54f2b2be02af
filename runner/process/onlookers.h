#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/file_lock.h"
#include "base/unique_fd.h"
#include "runner/container.h"

/// Who could look into a process of lay's that is seen in a container's pid namespace. Beside those that the
/// container was made with, some come later: by a command that is executed with more rights than it has, and
/// by a container that joins its pid namespace. They are noted in the folder of the container to which the
/// namespace belongs, before they come, as names that lead to its first process: of an earlier run they say
/// nothing. A note stays as long as that run does: who has come may have children.
namespace lay::runner {

/// Of several the last one decides.
enum class Onlookers {
  blind,    ///< they cannot look into a process of lay's
  masters,  ///< they can, and could have the host by other ways: CAP_SYS_PTRACE and CAP_SYS_ADMIN
  tracers,  ///< they can: CAP_SYS_PTRACE, and no user namespace
};

/// What processes with these rights are.
Onlookers onlookers_with(const Capabilities& rights, bool user_namespace);
/// `container` has them at most. `has_others`: it is in the pid namespace of others, whose rights nobody
/// knows.
Onlookers onlookers_of(const Capabilities& container, bool user_namespace, bool has_others);

/// Where those are noted that come into a pid namespace.
struct OnlookerNotes {
  const UniqueFd& folder;  ///< of the container to which it belongs; must outlive this
  std::string lock;        ///< folder therein that no container reaches, and that nobody else locks
  pid_t first = 0;         ///< number of its first process on the host
};

OnlookerNotes notes_of(const Container& container, pid_t first);

/// Who is there while a command is prepared.
struct KnownOnlookers {
  Onlookers are = Onlookers::blind;
  std::optional<FileLock> alone;  ///< keeps worse ones from coming, until the command is executed
};

/// Those that came, and those that it was made with: `own`.
KnownOnlookers know_onlookers(const OnlookerNotes& notes, Onlookers own);

/// To be called before somebody comes. Waits for commands that are on their way and count on it that he is
/// not there; throws busy when one is held up.
void let_in(const OnlookerNotes& notes, Onlookers newcomer);

/// Whether a process is in a pid namespace, given by its file of nsfs.
bool is_in_pids(pid_t pid, const UniqueFd& pid_namespace);

/// The running container to which a pid namespace (a file of nsfs) belongs; empty when it is none of `store`.
struct PidOwner {
  Container container;
  pid_t first = 0;
};
std::optional<PidOwner> owner_of_pids(const ContainerStore& store, const UniqueFd& pid_namespace);

}  // namespace lay::runner
