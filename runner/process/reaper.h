#pragma once

#include "base/unique_fd.h"
#include "process/handshake.h"

namespace lay::runner {

/// The program that becomes the first process of a container with --init (inside/lay-init.c), in memory.
UniqueFd make_init_program();

/// For a container with --init: the calling process becomes `init`, and goes on in a child of it, where this
/// returns. The first process hands the signals it gets on to that child, waits for whatever the container
/// leaves to it, and ends when the child does, with the same exit code (128 + N after signal N). What fails
/// there is sent to the parent.
///
/// The child is a process group of its own, in the foreground of the terminal if there is one, so that keys
/// reach it once.
void leave_reaper_behind(const UniqueFd& init, const ChildEnd& parent);

}  // namespace lay::runner
