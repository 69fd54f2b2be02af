#pragma once

#include "base/unique_fd.h"
#include "runner/spec.h"

/// Pseudo-terminals opened from inside a container, where everything under /dev may be forged.
namespace lay::runner {

/// A new pty of the devpts that is mounted at /dev/pts of the calling process's root; throws denied when that
/// is not a devpts. Returns the master.
UniqueFd open_pty_master();

/// In the child: makes the other end of `master` its controlling terminal and its descriptors 0, 1 and 2. It
/// is found through the master (TIOCGPTPEER), never by a path. The calling process must lead its session.
void take_terminal(const UniqueFd& master);
/// Standard streams alone; the terminal is made the controlling one later.
void take_terminal_as_stdio(const UniqueFd& master);
/// Of the session that the calling process leads: TIOCSCTTY of standard input.
void make_controlling_terminal();

/// TIOCSWINSZ; nothing when either side is 0.
void set_window_size(const UniqueFd& terminal, const ConsoleSize& size);

}  // namespace lay::runner
