#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "process/handshake.h"

namespace lay::runner {

/// What a container with --init needs for it.
struct InitProgram {
  UniqueFd program;  ///< inside/lay-init.c, in memory
  UniqueFd started;  ///< ends when the first process is that program
  UniqueFd starting;

  std::vector<int> descriptors() const { return {program.get(), started.get(), starting.get()}; }
};

InitProgram make_init_program();

/// For the process that leave_reaper_behind() will leave: what the container's processes leave comes to it
/// where it is not the first of a pid namespace, prctl(2) PR_SET_CHILD_SUBREAPER. It stays so over execve(2),
/// and is set before there is a seccomp profile that could kill it for this.
void adopt_orphans();

/// For a container with --init: the calling process becomes `init`, and goes on in a child of it, where this
/// returns as soon as nothing of lay is left in the first process. That hands the signals it gets on to that
/// child, waits for whatever the container leaves to it, and ends when the child does, with the same exit
/// code (128 + N after signal N). What fails there is sent to the parent.
///
/// The child is a process group of its own, in the foreground of the terminal if there is one, so that keys
/// reach it once.
void leave_reaper_behind(InitProgram init, const ChildEnd& parent);

}  // namespace lay::runner
