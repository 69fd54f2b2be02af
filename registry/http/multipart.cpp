#include "http/multipart.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "http/blob_range.h"

namespace lay::registry {

namespace {

using layerstore::BlobPart;

constexpr std::size_t kMaxBoundary = 70;  // RFC 2046 section 5.1.1
constexpr std::size_t kMaxHeading = 4096;

std::optional<std::string> boundary_of(const std::string& content_type) {
  constexpr std::string_view kType = "multipart/byteranges";
  constexpr std::string_view kName = "boundary=";
  const std::string lower = to_lower(content_type);
  const std::size_t found = lower.find(kName);
  if (!lower.starts_with(kType) || found == std::string::npos) return std::nullopt;
  std::string value = content_type.substr(found + kName.size());
  const bool is_quoted = value.starts_with('"');
  if (is_quoted) value.erase(0, 1);
  value.resize(std::min(value.find_first_of(is_quoted ? "\"" : "; \t"), value.size()));
  if (value.empty() || value.size() > kMaxBoundary) return std::nullopt;
  return value;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

/// The Content-Range among a part's header lines, which are passed over with the empty line behind them.
std::optional<ContentRange> take_heading(std::string_view& text) {
  const std::size_t end = text.substr(0, kMaxHeading).find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  std::optional<ContentRange> range;
  for (const std::string& line : split(text.substr(0, end), '\n')) {
    constexpr std::string_view kName = "content-range:";
    if (!to_lower(line.substr(0, kName.size())).starts_with(kName)) continue;
    std::string value = line.substr(kName.size());
    value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
    if (value.ends_with('\r')) value.pop_back();
    range = parse_content_range(value);
  }
  text.remove_prefix(end + 4);
  return range;
}

bool is_same(const ContentRange& got, const BlobPart& wanted, std::uint64_t blob_size) {
  return got.first == wanted.offset && got.last - got.first + 1 == wanted.size &&
         (!got.size || *got.size == blob_size);
}

}  // namespace

std::string range_header(std::span<const BlobPart> parts) {
  std::string value = "bytes=";
  for (const BlobPart& part : parts)
    value +=
        fmt::format("{}{}-{}", &part == parts.data() ? "" : ",", part.offset, part.offset + part.size - 1);
  return value;
}

std::optional<std::vector<std::string_view>> parse_multipart(const std::string& content_type,
                                                             std::string_view body,
                                                             std::span<const BlobPart> wanted,
                                                             std::uint64_t blob_size) {
  const auto boundary = boundary_of(content_type);
  if (!boundary) return std::nullopt;
  const std::string delimiter = "\r\n--" + *boundary;
  std::vector<std::string_view> parts;
  take(body, "\r\n");
  if (!take(body, "--" + *boundary)) return std::nullopt;
  for (const BlobPart& part : wanted) {
    if (!take(body, "\r\n")) return std::nullopt;
    const auto range = take_heading(body);
    if (!range || !is_same(*range, part, blob_size) || body.size() < part.size) return std::nullopt;
    parts.push_back(body.substr(0, static_cast<std::size_t>(part.size)));
    body.remove_prefix(static_cast<std::size_t>(part.size));
    if (!take(body, delimiter)) return std::nullopt;
  }
  return body.starts_with("--") ? std::optional(std::move(parts)) : std::nullopt;
}

}  // namespace lay::registry
