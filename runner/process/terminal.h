#pragma once

#include <termios.h>

#include <optional>

#include "runner/spec.h"

/// The user's terminal, while a container's is joined to it.
namespace lay::runner {

/// Rows and columns of the terminal at descriptor 0, 1 or 2; empty when none of them is one.
std::optional<ConsoleSize> user_terminal_size();

enum class Raw {
  all,    ///< that at standard input: every key reaches the container
  output  ///< that at standard output: what the container's own terminal has worked on stays as it is
};

/// Makes the user's terminal raw; puts it back on destruction. Does nothing where there is none, and leaves
/// the output alone in a background job, which would be stopped.
class RawTerminal {
 public:
  explicit RawTerminal(Raw raw);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int terminal_;
  std::optional<::termios> before_;
};

}  // namespace lay::runner
