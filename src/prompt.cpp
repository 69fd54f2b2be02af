#include "prompt.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/error.h"
#include "base/interruptible_stream.h"
#include "base/unique_fd.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

constexpr std::size_t kLongestLine = 65536;

/// The terminal at stdin does not show what is typed while this lives.
class HiddenEcho {
 public:
  HiddenEcho() {
    termios settings{};
    if (::tcgetattr(STDIN_FILENO, &settings) != 0) return;
    before_ = settings;
    settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings);
  }
  HiddenEcho(const HiddenEcho&) = delete;
  HiddenEcho& operator=(const HiddenEcho&) = delete;
  ~HiddenEcho() {
    if (before_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*before_);
    print_diagnostic("\n");  // in place of the one that was typed
  }

 private:
  std::optional<termios> before_;
};

/// Byte by byte: what follows the line belongs to the next question.
std::string read_line() {
  const UniqueFd input{::dup(STDIN_FILENO)};
  InterruptibleSource source(input);
  std::string line;
  std::array<char, 1> next{};
  while (source.read(std::as_writable_bytes(std::span(next))) == 1 && next[0] != '\n') {
    if (line.size() == kLongestLine)
      throw Error::make(Errc::invalid, "a line of more than {} bytes", kLongestLine);
    line += next[0];
  }
  return line;
}

}  // namespace

std::string ask(const std::string& question, Echo echo) {
  print_diagnostic(question);
  std::optional<HiddenEcho> hidden;
  if (echo == Echo::hidden) hidden.emplace();
  return read_line();
}

bool is_confirmed(const std::string& question, const std::string& without) {
  if (::isatty(STDIN_FILENO) == 0)
    throw Error(Errc::invalid, "this removes things, and there is no terminal to ask at").with_hint(without);
  print_diagnostic(question + " [y/N] ");
  const std::string answer = read_line();
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace lay::cli
