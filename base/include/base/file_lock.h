#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace lay {

enum class LockMode { shared, exclusive };

/// Has `notice` called when a lock is waited for longer than five seconds: with its name
/// and the process that holds it, 0 when that cannot be told.
void notice_waiting(void (*notice)(const std::string& name, int holder));

/// A flock(2) lock, held until destruction. The kernel drops it when the process dies, however it dies.
class FileLock {
 public:
  /// Opens (creates, 0600) `name` in `dir` and waits for the lock. Throws cancelled when the user asks to
  /// stop meanwhile.
  static FileLock acquire(const UniqueFd& dir, const std::string& name, LockMode mode);
  /// As acquire; empty instead of waiting when somebody else holds it.
  static std::optional<FileLock> try_acquire(const UniqueFd& dir, const std::string& name, LockMode mode);
  /// Locks an open file or folder; waits for the lock as acquire() does.
  static FileLock lock(UniqueFd fd, LockMode mode);
  /// Locks an open file or folder; empty when somebody else holds it.
  static std::optional<FileLock> try_lock(UniqueFd fd, LockMode mode);

  const UniqueFd& fd() const { return fd_; }

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace lay
