#include "lists/moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "flags/parser.h"

namespace lay::cli {

namespace {

using Seconds = std::chrono::duration<double>;

std::optional<double> seconds_of(const std::string& unit) {
  if (unit == "ms") return 0.001;
  if (unit == "s") return 1;
  if (unit == "m") return 60;
  if (unit == "h") return 3600;
  return std::nullopt;
}

/// Takes the number at the start of `text` off it; empty when there is none.
std::optional<double> take_number(std::string& text) {
  if (text.empty() || text.find_first_of("0123456789.") != 0) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  text.erase(0, static_cast<std::size_t>(end - text.c_str()));
  return std::isfinite(number) && number < 1e10 ? std::optional(number) : std::nullopt;
}

/// Go's form of a duration, "1h30m".
std::optional<Seconds> parse_duration(std::string text) {
  constexpr Seconds kReach{9e9};  // what the clock can say, in nanoseconds
  Seconds sum{0};
  do {
    const auto count = take_number(text);
    const std::string unit = text.substr(0, text.find_first_of("0123456789."));
    const auto factor = seconds_of(unit);
    if (!count || !factor) return std::nullopt;
    sum += Seconds(*count * *factor);
    if (sum > kReach) return std::nullopt;
    text.erase(0, unit.size());
  } while (!text.empty());
  return sum;
}

/// The digits behind the point, which parse_time() leaves out.
std::chrono::nanoseconds fraction_of(const std::string& text) {
  const std::size_t point = text.find('.');
  std::string digits = point == std::string::npos ? "" : text.substr(point + 1);
  digits.resize(std::min(digits.find_first_not_of("0123456789"), digits.size()));
  digits.resize(9, '0');
  return std::chrono::nanoseconds(parse_number(digits).value_or(0));
}

/// Exactly: a double has too few digits for the nanoseconds of our days.
std::optional<Time> parse_stamp(const std::string& text) {
  constexpr std::uint64_t kReach = 9'223'372'036;  // what the clock can say
  const std::size_t point = text.find('.');
  const auto seconds = parse_number(text.substr(0, point));
  if (!seconds || *seconds > kReach) return std::nullopt;
  if (point != std::string::npos && !parse_number(text.substr(point + 1))) return std::nullopt;
  return std::chrono::system_clock::from_time_t(static_cast<std::time_t>(*seconds)) + fraction_of(text);
}

/// What a clock on the wall here showed, read as if it were UTC.
Time as_local(Time shown) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(shown);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  parts.tm_isdst = -1;  // as it was then
  return std::chrono::system_clock::from_time_t(std::mktime(&parts));
}

}  // namespace

Time parse_moment(const std::string& flag, const std::string& text) {
  if (const auto stamp = parse_stamp(text)) return *stamp;
  if (const auto ago = parse_duration(text))
    return std::chrono::system_clock::now() - std::chrono::duration_cast<Time::duration>(*ago);
  if (const auto time = parse_time(text)) return *time + fraction_of(text);
  for (const char* omitted : {"Z", "T00:00:00Z"})
    if (const auto time = parse_time(text + omitted)) return as_local(*time) + fraction_of(text);
  throw UsageError{
      fmt::format("{} '{}' is neither a time (2026-11-30T12:00:00Z, 1796040000) nor a duration (10m)", flag,
                  printable(text))};
}

}  // namespace lay::cli
