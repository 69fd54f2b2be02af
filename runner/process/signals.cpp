#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// signal(7). The real-time ones are named from both ends of their range, as bash and docker do.
constexpr std::array<std::pair<std::string_view, int>, 33> kSignals{{
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},     {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT}, {"IOT", SIGIOT},       {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"KILL", SIGKILL},
    {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM},
    {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP},
    {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
    {"POLL", SIGPOLL}, {"PWR", SIGPWR},       {"SYS", SIGSYS},
}};
constexpr int kMaxSignal = 64;
/// The C library keeps the kernel's first two real-time signals for itself.
constexpr int kFirstRealTime = 34;

/// "RTMIN+3", "RTMAX-1".
std::optional<int> real_time_signal(std::string_view name) {
  const bool is_min = name.starts_with("RTMIN");
  if (!is_min && !name.starts_with("RTMAX")) return std::nullopt;
  const int base = is_min ? kFirstRealTime : kMaxSignal;
  name.remove_prefix(5);
  if (name.empty()) return base;
  if (name.front() != (is_min ? '+' : '-')) return std::nullopt;
  const auto offset = parse_number(name.substr(1));
  if (!offset || *offset > kMaxSignal - kFirstRealTime) return std::nullopt;
  return is_min ? base + static_cast<int>(*offset) : base - static_cast<int>(*offset);
}

std::optional<int> find_signal(std::string_view text) {
  if (const auto number = parse_number(text)) {
    if (*number < 1 || *number > kMaxSignal) return std::nullopt;
    return static_cast<int>(*number);
  }
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const auto& [known, number] : kSignals)
    if (known == name) return number;
  return real_time_signal(name);
}

}  // namespace

int parse_signal(std::string_view text) {
  if (const auto signal = find_signal(text)) return *signal;
  throw Error::make(Errc::invalid, "'{}' is not a signal", printable(text))
      .with_hint("a name such as TERM or SIGTERM, or a number from 1 to 64");
}

}  // namespace lay::runner
