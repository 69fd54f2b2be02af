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

/// Length in bytes of the UTF-8 sequence that `text` begins with, 0 when it begins with none (RFC 3629,
/// section 4).
std::size_t utf8_length(std::string_view text);
/// Characters in `text`; each byte that is not of a UTF-8 sequence counts as one.
std::size_t count_characters(std::string_view text);
/// `text` when it has at most `most` (3 or more) characters; else its beginning and "...", together as many.
std::string shortened(std::string_view text, std::size_t most);

/// The parts between separators, in order: one more than there are separators, empty ones too; "" gives one.
std::vector<std::string> split(std::string_view text, char separator);
/// The reverse of split(); of no parts "".
std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// ASCII letters alone; other bytes stay.
std::string to_lower(std::string_view text);
/// A path without "." and "..", doubled slashes and one at its end, by its text alone: symlinks are not read.
std::string plain_path(std::string_view path);

/// A whole decimal number without sign or spaces; empty when it is not one or does not fit.
std::optional<std::uint64_t> parse_number(std::string_view text);
/// A number as of parse_number() that can be a user's or group's id: -1 as 32 bits means "no change" to
/// setuid(2) and chown(2), so it is none.
std::optional<std::uint32_t> parse_id(std::string_view text);
/// Sizes as users write them: "256m", "1g", "512k", "100b", "1.5g"; powers of 1024; bytes without a unit.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "902 MB", with powers of 1000 as podman and docker print them.
std::string format_size(std::uint64_t bytes);

using Time = std::chrono::system_clock::time_point;
/// RFC 3339 in UTC with whole seconds: "2026-11-22T21:33:17Z".
std::string format_time(Time time);
/// As format_time(), with nanoseconds: "2026-11-22T21:33:17.123456789Z".
std::string format_exact_time(Time time);
/// RFC 3339, fractions and offsets included; empty when it is not one.
std::optional<Time> parse_time(std::string_view text);
/// "3 minutes ago".
std::string format_age(Time then, Time now);

}  // namespace lay
