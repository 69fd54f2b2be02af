#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lay::registry::server {

/// Bytes from `first` to `last`, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t size() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

/// What is asked for in one request at most; podman's partial pulls ask for up to 1024.
constexpr std::size_t kMaxRanges = 1024;

/// A Range header (RFC 9110 section 14.2) for content of `size` bytes: the parts of it that are there. Empty
/// list: nothing of it is (416). No value: the header is to be ignored, because it is broken, of another
/// unit, or asks for more than kMaxRanges or for more bytes than there are.
std::optional<std::vector<ByteRange>> parse_range(std::string_view header, std::uint64_t size);

/// Content-Range of an upload's chunk: "0-1023" as distribution-spec has it, or "bytes 0-1023/*" as HTTP
/// does.
std::optional<ByteRange> parse_chunk_range(std::string_view header);

}  // namespace lay::registry::server
