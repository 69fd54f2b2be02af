#pragma once

namespace lay::runner {

/// For a container with --init: the calling process stays as its first one, and goes on in a child of it,
/// where this returns. The first process hands the signals it gets on to that child, waits for whatever the
/// container leaves to it, and ends when the child does, with the same exit code (128 + N after signal N). It
/// is lay's own memory, without any descriptor but 0, 1 and 2, and closed to others (PR_SET_DUMPABLE).
///
/// The child is a process group of its own, in the foreground of the terminal if there is one, so that keys
/// reach it once.
void leave_reaper_behind();

}  // namespace lay::runner
