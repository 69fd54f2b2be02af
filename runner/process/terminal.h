#pragma once

#include <termios.h>

#include <optional>

#include "runner/spec.h"

/// The user's terminal, while a container's is joined to it.
namespace lay::runner {

/// Rows and columns of the terminal at descriptor 0, 1 or 2; empty when none of them is one.
std::optional<ConsoleSize> user_terminal_size();

/// Makes the terminal at standard input raw, so that every key reaches the container; puts it back on
/// destruction. Does nothing where standard input is no terminal.
class RawTerminal {
 public:
  RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  std::optional<::termios> before_;
};

}  // namespace lay::runner
