#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "runner/lifecycle.h"

/// The lines of a container's log, in the format of Kubernetes' container runtimes (CRI):
/// "2026-11-22T21:33:17.123456789Z stdout F text", F for a whole line, P for a piece of one.
namespace lay::runner {

enum class LineEnd { newline, none };

struct LogEntry {
  std::string_view time;  ///< as written
  LogStream stream = LogStream::out;
  LineEnd end = LineEnd::newline;
  std::string_view text;  ///< without the newline
};

/// One line of the log for each line in `text`; what follows the last newline is written as a piece.
std::string format_log(LogStream stream, std::string_view text, Time time);
/// One line of the log, without its newline; empty when it is none. The views point into `line`.
std::optional<LogEntry> parse_log_line(std::string_view line);

}  // namespace lay::runner
