#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/http.h"
#include "layerstore/descriptor.h"

namespace lay::registry {

/// The bytes that a 206 answer holds (RFC 9110 section 14.4): "bytes FIRST-LAST/SIZE", SIZE may be "*".
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> size;

  bool operator==(const ContentRange&) const = default;
};
/// Empty when `value` is not of that form.
std::optional<ContentRange> parse_content_range(const std::string& value);

/// What is still to come of a blob, over as many requests as it takes. Passes each byte on once, in order,
/// whatever part of the blob the answers bring. For one thread.
class BlobRange final : private ByteSink {
 public:
  /// The first `offset` bytes are there already. `out` and `blob` must outlive it.
  BlobRange(const layerstore::Descriptor& blob, std::uint64_t offset, ByteSink& out)
      : blob_(blob), out_(out), position_(offset), end_(blob.size) {}
  /// Only `size` bytes from `offset` on: a server that knows no ranges is of no use then.
  BlobRange(const layerstore::Descriptor& blob, std::uint64_t offset, std::uint64_t size, ByteSink& out)
      : blob_(blob), out_(out), position_(offset), end_(offset + size), is_piece_(true) {}

  const layerstore::Descriptor& blob() const { return blob_; }
  /// How many bytes of the blob have been passed on.
  std::uint64_t position() const { return position_; }
  bool is_piece() const { return is_piece_; }
  bool is_complete() const { return position_ >= end_; }
  /// The request for the rest. What its answer brings throws corrupt when it is more than there should be,
  /// unavailable when it is another part than was asked for (unsupported of a piece, which has no other way).
  HttpRequest plan(Url url, const std::stop_token& stop);
  /// The last answer was a part, of which there may be more.
  bool is_partial() const { return is_partial_; }
  /// After an answer of no use, or one whose body threw (null): true when it was the range's fault, and the
  /// next plan() asks for the whole blob.
  bool ask_for_whole(const HttpResponse* response);

 private:
  void begin(const HttpResponse& response);
  void write(std::span<const std::byte> bytes) override;

  const layerstore::Descriptor& blob_;
  ByteSink& out_;
  std::uint64_t position_;
  const std::uint64_t end_;
  const bool is_piece_ = false;
  std::uint64_t skip_ = 0;  ///< bytes of this answer that are there already
  bool is_whole_ = false;   ///< ranges are not asked for any more
  bool is_refused_ = false;
  bool is_partial_ = false;
};

}  // namespace lay::registry
