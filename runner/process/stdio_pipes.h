#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"
#include "runner/spec.h"

/// The three descriptors that a process of the container gets, and the other ends of them.
namespace lay::runner {

/// The container's side. Empty with a terminal, which the child opens itself from inside.
struct ChildStdio {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
};

/// lay's side. `in` is empty when nothing is relayed inwards. With a terminal `out` is the pty's master.
struct ParentStdio {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
};

struct Stdio {
  ChildStdio child;
  ParentStdio parent;
};

enum class InputMode {
  none,    ///< a null device that is nobody else's
  inside,  ///< nothing here: the child takes open_null_inside()
  relayed,
  ended,  ///< a pipe's end, for who would give /dev/null, which is the host's, to another user
};

/// Pipes, so that neither the host's terminal nor its files are reachable from inside.
Stdio make_pipes(InputMode input);
/// /dev/null as all three, for a command that nobody listens to.
ChildStdio silent_stdio();
/// A /dev/null that is nobody else's, for who would give the host's to another user. Gone with its
/// descriptors.
UniqueFd open_null_of_its_own();
/// In the child, which has the host's rights in the container's root by now: the /dev/null there, as the
/// command will see it, or where that is something else one of its own.
UniqueFd open_null_inside();
/// Gives the pipes on the child's side to root of a user namespace, so that it can hand them on.
void give_pipes_to(const ChildStdio& stdio, uid_t uid, gid_t gid);
/// The parent's side of a pty.
ParentStdio parent_side(UniqueFd master, InputMode input);

/// In the child: makes them descriptors 0, 1 and 2.
void take_stdio(const ChildStdio& stdio);

/// In the child, which keeps descriptors 0, 1 and 2: each that is the host's /dev/null becomes one that is
/// nobody else's, for root of the container could change owner and mode of the host's.
void replace_null_streams();

}  // namespace lay::runner
