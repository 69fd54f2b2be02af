#pragma once

#include <optional>

#include "base/file_lock.h"
#include "base/text.h"
#include "base/unique_fd.h"

/// The file "lock" of a container's folder: locked by its supervisor as long as the container lives, and
/// where it leaves how that ended. Whoever opened the file before can still read that when the folder is gone
/// (--rm).
namespace lay::runner {

/// For the supervisor; empty when the container has one.
std::optional<FileLock> take_run_lock(const UniqueFd& dir);
/// How a run ended.
struct RunEnd {
  int exit_code = 0;
  bool oom_killed = false;
  Time finished;  ///< whole seconds
};

/// Before a new run: until write_end() there is none. It takes the room that write_end() needs, which a disk
/// that the container has filled would not have.
void forget_end(const FileLock& held);
void write_end(const FileLock& held, const RunEnd& end);
/// Empty when there is none: it never ran, or its supervisor was killed.
std::optional<RunEnd> read_end(const UniqueFd& dir);

/// True when a supervisor holds it. Asks with a shared lock, so that two who ask do not see each other.
bool is_run_locked(const UniqueFd& dir);
/// To be waited for later, when the folder may be gone; empty when there is no such file.
std::optional<UniqueFd> open_run_lock(const UniqueFd& dir);
/// Waits until no supervisor holds it; returns the exit code, empty when there is none: it never ran, or its
/// supervisor was killed.
std::optional<int> wait_for_run_lock(std::optional<UniqueFd> lock);

}  // namespace lay::runner
