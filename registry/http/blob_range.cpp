#include "http/blob_range.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lay::registry {

std::optional<ContentRange> parse_content_range(const std::string& value) {
  constexpr std::string_view kUnit = "bytes ";
  if (to_lower(value.substr(0, kUnit.size())) != kUnit) return std::nullopt;
  const std::size_t dash = value.find('-', kUnit.size());
  const std::size_t slash = value.find('/', std::min(dash, value.size()));
  if (dash == std::string::npos || slash == std::string::npos) return std::nullopt;
  const auto first = parse_number(value.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = parse_number(value.substr(dash + 1, slash - dash - 1));
  const std::string size_text = value.substr(slash + 1);
  const auto size = parse_number(size_text);
  if (!first || !last || *last < *first || (!size && size_text != "*") || (size && *size <= *last))
    return std::nullopt;
  return ContentRange{.first = *first, .last = *last, .size = size};
}

HttpRequest BlobRange::plan(Url url, const std::stop_token& stop) {
  is_refused_ = false;
  is_partial_ = false;
  skip_ = 0;
  HttpRequest request{.url = std::move(url), .sink = this, .limit = UINT64_MAX, .stop = stop};
  request.on_body = [this](const HttpResponse& response) { begin(response); };
  if (is_piece_)
    request.headers.push_back(fmt::format("Range: bytes={}-{}", position_, end_ - 1));
  else if (position_ > 0 && !is_whole_)
    request.headers.push_back(fmt::format("Range: bytes={}-", position_));
  return request;
}

void BlobRange::begin(const HttpResponse& response) {
  if (response.status != 206 && is_piece_) throw Error(Errc::unsupported, "serves no parts of blobs");
  if (response.status != 206) {
    skip_ = position_;
    return;
  }
  const auto range = parse_content_range(response.headers.get("content-range"));
  const bool is_ours = range && range->first <= position_ && range->last >= position_ &&
                       (!range->size || *range->size == blob_.size);
  is_partial_ = true;
  is_refused_ = is_whole_ || !is_ours;
  if (is_refused_)  // a piece can be had in no other way
    throw Error(is_piece_ ? Errc::unsupported : Errc::unavailable,
                "answers with other bytes than those it was asked for");
  skip_ = position_ - range->first;
}

bool BlobRange::ask_for_whole(const HttpResponse* response) {
  const bool is_at_fault = is_refused_ || (response != nullptr && response->status == 416);
  if (is_whole_ || is_piece_ || position_ == 0 || !is_at_fault) return false;
  is_whole_ = true;
  return true;
}

void BlobRange::write(std::span<const std::byte> bytes) {
  const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
  skip_ -= skipped;
  bytes = bytes.subspan(skipped);
  if (bytes.size() > end_ - position_)
    throw Error::make(Errc::corrupt, "got more than {0} bytes, expected {0}", end_);
  if (bytes.empty()) return;
  position_ += bytes.size();
  out_.write(bytes);
}

}  // namespace lay::registry
