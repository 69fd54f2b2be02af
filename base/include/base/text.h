#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lay {

/// Makes a string from outside safe to print on a terminal: control bytes, ESC, invalid UTF-8 and
/// bidirectional overrides become \xNN.
std::string printable(std::string_view text);

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view text);

/// A whole decimal number without sign or spaces; empty when it is not one or does not fit.
std::optional<std::uint64_t> parse_number(std::string_view text);
/// Sizes as users write them: "256m", "1g", "512k", "100b", "1.5g"; powers of 1024; bytes without a unit.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "902 MB", with powers of 1000 as podman and docker print them.
std::string format_size(std::uint64_t bytes);

using Time = std::chrono::system_clock::time_point;
/// RFC 3339 in UTC with whole seconds: "2026-11-22T21:33:17Z".
std::string format_time(Time time);
/// RFC 3339, fractions and offsets included; empty when it is not one.
std::optional<Time> parse_time(std::string_view text);
/// "3 minutes ago".
std::string format_age(Time then, Time now);

}  // namespace lay
