#include "container/log_format.h"

namespace lay::runner {

namespace {

/// Takes the part of `rest` up to the next space off its front; empty when there is no space.
std::optional<std::string_view> take_word(std::string_view& rest) {
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return word;
}

}  // namespace

std::string format_log(LogStream stream, std::string_view text, Time time) {
  const std::string prefix = format_exact_time(time) + (stream == LogStream::out ? " stdout " : " stderr ");
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const bool is_whole = end != std::string_view::npos;
    const std::string_view line = text.substr(0, end);
    lines.append(prefix).append(is_whole ? "F " : "P ").append(line).append("\n");
    text.remove_prefix(is_whole ? end + 1 : text.size());
  }
  return lines;
}

std::optional<LogEntry> parse_log_line(std::string_view line) {
  const auto time = take_word(line);
  const auto stream = take_word(line);
  const auto end = take_word(line);
  if (!time || !stream || !end) return std::nullopt;
  if ((*stream != "stdout" && *stream != "stderr") || (*end != "F" && *end != "P")) return std::nullopt;
  return LogEntry{.time = *time,
                  .stream = *stream == "stdout" ? LogStream::out : LogStream::err,
                  .end = *end == "F" ? LineEnd::newline : LineEnd::none,
                  .text = line};
}

}  // namespace lay::runner
