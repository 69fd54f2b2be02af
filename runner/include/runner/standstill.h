#pragma once

#include <functional>

#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

/// Lets every process of a running container stand still as long as it lives. They go on when this process is
/// killed, too: a process of its own waits for that. A container that is not running, or is paused already,
/// is left alone.
class Standstill {
 public:
  /// By a process with one thread. Throws busy when a process does not stand still, unsupported where there
  /// is no freezer.
  explicit Standstill(const Container& container);
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;
  ~Standstill();

 private:
  std::function<void()> thaw_;  ///< empty where nothing stands still
  UniqueFd watched_;            ///< a pipe's end, whose closing without a word lets the other process do it
};

}  // namespace lay::runner
