#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "container/log_writer.h"
#include "process/stdio_pipes.h"

/// The loop of whoever stands beside a process of the container: bytes in and out,
/// signals on, until it has ended.
namespace lay::runner {

enum class SentBy { process, kernel };
struct TakenSignal {
  int number = 0;
  SentBy sent_by = SentBy::process;  ///< the kernel: of its own accord, as a terminal driver does
};

/// Blocks the signals that are passed on (all that are not about lay itself) and SIGWINCH, and collects them
/// in a descriptor; ignores SIGPIPE, since a reader that goes away is an event, not an end.
/// Undone on destruction. To be made before the container's process, so that no signal falls into the gap.
class SignalQueue {
 public:
  SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;
  ~SignalQueue();

  const UniqueFd& fd() const { return fd_; }
  /// The next one waiting; empty when none is.
  std::optional<TakenSignal> take() const;

 private:
  ::sigset_t before_{};
  struct ::sigaction pipe_before_ {};
  UniqueFd fd_;
};

/// Readable while a signal waits that asks lay itself to end (SIGINT, SIGTERM, SIGQUIT, SIGHUP), all blocked
/// by a SignalQueue. It is left for whoever takes those.
UniqueFd open_end_requests();

enum class Joined { no, yes };

struct RelayOptions {
  /// Whether standard input, output and error are joined to lay's own; without it
  /// output goes to the log alone.
  Joined own_stdio = Joined::yes;
  bool shows_out = true;  ///< of those joined, whether standard output goes to lay's own
  bool shows_errors = true;
  bool passes_signals = true;
  bool terminal = false;
  LogWriter* log = nullptr;         ///< not owned; nullptr: none
  std::function<void()> when_idle;  ///< called once, when nothing has happened for a second
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  std::function<void()> when_late = {};  ///< called once, when the deadline is over
};

/// Relays until the process behind `pidfd` has ended and everything it wrote is passed on. Holds at most one
/// block for each direction: who writes faster than the reader reads has to wait. A reader of lay's own
/// output that goes away closes that output for the container too, as a shell's pipe would; so does one that
/// takes no more, such as a file on a full disk, and the first reason of that kind is returned.
std::optional<Error> relay_until_end(const UniqueFd& pidfd, ParentStdio stdio, const SignalQueue& signals,
                                     const RelayOptions& options);

}  // namespace lay::runner
