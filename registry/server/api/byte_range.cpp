#include "server/api/byte_range.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/text.h"

namespace lay::registry::server {

namespace {

/// No blob is larger: descriptors have sizes up to 2^53.
constexpr std::uint64_t kMaxChunkEnd = std::uint64_t{1} << 53U;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// One range as written, before it is cut to what there is.
struct Spec {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;  ///< without `first`: how many bytes of the end
};

/// The last byte; one beyond all numbers means the end (RFC 9110 section 14.1.2).
std::optional<std::uint64_t> parse_last(std::string_view digits) {
  if (const auto number = parse_number(digits)) return number;
  const bool is_number = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  return is_number ? std::optional(std::numeric_limits<std::uint64_t>::max()) : std::nullopt;
}

std::optional<Spec> parse_spec(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view left = text.substr(0, dash);
  const std::string_view right = text.substr(dash + 1);
  Spec spec{.first = parse_number(left), .last = parse_last(right)};
  if (!left.empty() && !spec.first) return std::nullopt;
  if (!right.empty() && !spec.last) return std::nullopt;
  if (left.empty() && right.empty()) return std::nullopt;
  if (spec.first && spec.last && *spec.first > *spec.last) return std::nullopt;
  return spec;
}

/// What of it is there; empty when nothing is.
std::optional<ByteRange> resolve(const Spec& spec, std::uint64_t size) {
  if (size == 0) return std::nullopt;
  if (!spec.first) {
    if (*spec.last == 0) return std::nullopt;
    return ByteRange{.first = size - std::min(size, *spec.last), .last = size - 1};
  }
  if (*spec.first >= size) return std::nullopt;
  return ByteRange{.first = *spec.first, .last = std::min(spec.last.value_or(size - 1), size - 1)};
}

}  // namespace

std::optional<std::vector<ByteRange>> parse_range(std::string_view header, std::uint64_t size) {
  const std::size_t equals = header.find('=');
  if (equals == std::string_view::npos || to_lower(trimmed(header.substr(0, equals))) != "bytes")
    return std::nullopt;
  const std::vector<std::string> parts = split(header.substr(equals + 1), ',');
  if (parts.size() > kMaxRanges) return std::nullopt;
  std::vector<ByteRange> result;
  std::uint64_t total = 0;
  bool has_any = false;
  for (const std::string& part : parts) {
    if (trimmed(part).empty()) continue;  // RFC 9110 section 5.6.1.2: such elements of a list are ignored
    has_any = true;
    const auto spec = parse_spec(trimmed(part));
    if (!spec) return std::nullopt;
    const auto range = resolve(*spec, size);
    if (!range) continue;
    // Ranges that lie over each other could ask for a thousand times what there is.
    if (range->size() > size - total) return std::nullopt;
    total += range->size();
    result.push_back(*range);
  }
  if (!has_any) return std::nullopt;
  return result;
}

std::optional<ByteRange> parse_chunk_range(std::string_view header) {
  std::string_view text = trimmed(header);
  if (text.starts_with("bytes")) text = trimmed(text.substr(5));
  if (text.starts_with("=")) text = trimmed(text.substr(1));
  text = text.substr(0, text.find('/'));
  const auto spec = parse_spec(text);
  if (!spec || !spec->first || !spec->last || *spec->last > kMaxChunkEnd) return std::nullopt;
  return ByteRange{.first = *spec->first, .last = *spec->last};
}

}  // namespace lay::registry::server
