#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <limits>

namespace lay {

namespace {

/// What `text`, which is not empty, begins with: a character, or a byte of none.
std::string_view first_character(std::string_view text) {
  return text.substr(0, std::max<std::size_t>(utf8_length(text), 1));
}

/// Characters that change how a terminal shows what follows: C0, DEL, C1, bidirectional controls.
bool is_unsafe(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7f;
  if (character.size() == 2) return character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0;
  static constexpr std::array<std::string_view, 12> kBidirectional{"\u200e", "\u200f", "\u202a", "\u202b",
                                                                   "\u202c", "\u202d", "\u202e", "\u2066",
                                                                   "\u2067", "\u2068", "\u2069", "\u061c"};
  return std::find(kBidirectional.begin(), kBidirectional.end(), character) != kBidirectional.end();
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || length > text.size() || first > 0xf4) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool too_large = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(first_character(text).size());
  return count;
}

std::string shortened(std::string_view text, std::size_t most) {
  constexpr std::string_view kEnd = "...";
  if (count_characters(text) <= most) return std::string(text);
  std::string_view rest = text;
  for (std::size_t count = most - kEnd.size(); count > 0; --count)
    rest.remove_prefix(first_character(rest).size());
  return std::string(text.substr(0, text.size() - rest.size())).append(kEnd);
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    if (utf8_length(text) == 0 || is_unsafe(character)) {
      for (const char c : character) result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += character;
    }
    text.remove_prefix(character.size());
  }
  return result;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string result;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) result += separator;
    result += part;
  }
  return result;
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string plain_path(std::string_view path) {
  std::string plain = std::filesystem::path(path).lexically_normal().string();
  while (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
  return plain;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number >= std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::string_view kUnits = "bkmgt";
  std::string lower = to_lower(text);
  if (lower.size() > 2 && lower.ends_with("ib"))
    lower.resize(lower.size() - 2);
  else if (lower.size() > 2 && lower.back() == 'b' &&
           kUnits.find(lower[lower.size() - 2]) != std::string_view::npos)
    lower.pop_back();
  if (lower.empty()) return std::nullopt;
  std::size_t power = 0;
  if (const std::size_t unit = kUnits.find(lower.back()); unit != std::string_view::npos) {
    power = unit;
    lower.pop_back();
  }
  if (lower.empty() || lower.find_first_not_of("0123456789.") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  double bytes = std::strtod(lower.c_str(), &end);  // from_chars, as pow, would load libm at every start
  if (end != lower.c_str() + lower.size()) return std::nullopt;
  for (; power > 0; --power) bytes *= 1024;
  if (bytes >= 9.2e18) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return value < 10 && unit > 0 ? fmt::format("{:.2f} {}", value, kUnits[unit])
         : unit > 0             ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                : fmt::format("{} B", bytes);
}

std::string format_time(Time time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string format_exact_time(Time time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  std::string text = format_time(second);
  text.pop_back();  // the Z
  return fmt::format("{}.{:09}Z", text, std::chrono::nanoseconds(time - second).count());
}

std::optional<Time> parse_time(std::string_view text) {
  std::tm utc{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return std::nullopt;
  if (*rest == '.') {
    ++rest;
    while (*rest >= '0' && *rest <= '9') ++rest;
  }
  std::tm offset{};
  const bool zulu = (*rest == 'Z' || *rest == 'z') && rest[1] == '\0';
  if (!zulu) {
    if (*rest != '+' && *rest != '-') return std::nullopt;
    const char* end = ::strptime(rest + 1, "%H:%M", &offset);
    if (end == nullptr || *end != '\0') return std::nullopt;
  }
  const int seconds = (offset.tm_hour * 60 + offset.tm_min) * 60 * (*rest == '-' ? -1 : 1);
  // The clock counts nanoseconds from 1677 to 2262. Go's zero time, year 1, is common in images.
  constexpr std::int64_t kReach = 9'223'372'036;
  return std::chrono::system_clock::from_time_t(
      std::clamp<std::int64_t>(::timegm(&utc) - seconds, -kReach, kReach));
}

std::string format_age(Time then, Time now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  const auto say = [](long long count, const char* unit) {
    return fmt::format("{} {}{} ago", count, unit, count == 1 ? "" : "s");
  };
  if (seconds < 1) return "now";
  if (seconds < 60) return say(seconds, "second");
  if (seconds < 3600) return say(seconds / 60, "minute");
  if (seconds < 86400) return say(seconds / 3600, "hour");
  if (seconds < 86400 * 60) return say(seconds / 86400, "day");
  if (seconds < 86400 * 365 * 2) return say(seconds / (86400 * 30), "month");
  return say(seconds / (86400 * 365), "year");
}

}  // namespace lay
