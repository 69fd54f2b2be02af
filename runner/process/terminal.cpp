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

RawTerminal::RawTerminal(Raw raw) : terminal_(raw == Raw::all ? STDIN_FILENO : STDOUT_FILENO) {
  ::termios settings{};
  if (::tcgetattr(terminal_, &settings) < 0) return;
  if (raw == Raw::output && ::tcgetpgrp(terminal_) != ::getpgrp()) return;
  before_ = settings;
  if (raw == Raw::all)
    ::cfmakeraw(&settings);
  else
    settings.c_oflag &= ~static_cast<::tcflag_t>(OPOST);
  if (::tcsetattr(terminal_, TCSANOW, &settings) < 0) throw Error::from_errno("make the terminal raw");
}

RawTerminal::~RawTerminal() {
  if (before_) ::tcsetattr(terminal_, TCSADRAIN, &*before_);
}

}  // namespace lay::runner
