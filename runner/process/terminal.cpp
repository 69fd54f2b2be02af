#include "process/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"

namespace lay::runner {

std::optional<ConsoleSize> user_terminal_size() {
  for (const int number : {STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO}) {
    winsize window{};
    if (::ioctl(number, TIOCGWINSZ, &window) == 0)
      return ConsoleSize{.height = window.ws_row, .width = window.ws_col};
  }
  return std::nullopt;
}

RawTerminal::RawTerminal() {
  ::termios settings{};
  if (::tcgetattr(STDIN_FILENO, &settings) < 0) return;
  before_ = settings;
  ::cfmakeraw(&settings);
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &settings) < 0) throw Error::from_errno("make the terminal raw");
}

RawTerminal::~RawTerminal() {
  if (before_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
}

}  // namespace lay::runner
