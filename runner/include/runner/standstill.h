#pragma once

#include <functional>

#include "base/file_lock.h"
#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

/// Holds a container's upper exclusively: it is not started, nor goes on, as long as this lives.
class Standstill {
 public:
  /// Waits while somebody else holds the upper, starts the container or ends it; throws busy after half a
  /// minute of the latter.
  /// `container` must outlive it.
  explicit Standstill(const Container& container);
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;
  ~Standstill();

  /// Lets every process of the container stand still from here on. They go on when this process is killed,
  /// too: a process of its own waits for that. What is paused already stays so. By a process with one thread.
  /// Throws busy when a process does not stand still, unsupported where there is no freezer.
  void freeze();

 private:
  const Container& container_;
  FileLock upper_;              ///< the other process has it, too: until it has thawed
  std::function<void()> thaw_;  ///< empty where nothing stands still
  UniqueFd watched_;            ///< a pipe's end, whose closing lets the other process thaw
};

}  // namespace lay::runner
