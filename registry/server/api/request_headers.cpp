#include "server/api/request_headers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "server/api/refusal.h"

namespace lay::registry::server {

namespace {

/// RFC 9110 section 5.6.2.
bool is_token(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

/// A line folded into the one before, or one that ends without a carriage return.
bool has_line_end(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

}  // namespace

void RequestHeaders::add(std::string_view name, std::string_view value) {
  if (!is_token(name) || has_line_end(value)) is_malformed_ = true;
  const std::string key = to_lower(name);
  if (key == "via") {
    via += (via.empty() ? "" : ", ") + std::string(value);
    return;
  }
  if (key == "x-forwarded-proto") {
    if (forwarded_proto.empty()) forwarded_proto = value.substr(0, value.find(','));
    return;
  }
  const std::array<std::pair<std::string_view, std::string*>, 11> known{{
      {"host", &host},
      {"origin", &origin},
      {"authorization", &authorization},
      {"content-type", &content_type},
      {"content-range", &content_range},
      {"range", &range},
      {"if-range", &if_range},
      {"if-none-match", &if_none_match},
      {"user-agent", &user_agent},
      {"content-length", &length_text_},
      {"transfer-encoding", &coding_},
  }};
  for (const auto& [wanted, field] : known) {
    if (key != wanted) continue;
    if (!field->empty()) is_repeated_ = true;
    *field = value;
  }
}

void RequestHeaders::check() {
  if (is_malformed_) throw Refusal(400, error_code::kUnsupported, "a header line is malformed");
  if (is_repeated_) throw Refusal(400, error_code::kUnsupported, "a header is there twice");
  if (!length_text_.empty()) {
    length = parse_number(length_text_);
    if (!length) throw Refusal(400, error_code::kSizeInvalid, "Content-Length is no number");
  }
  if (coding_.empty()) return;
  if (length) throw Refusal(400, error_code::kUnsupported, "Content-Length beside Transfer-Encoding");
  if (to_lower(coding_) != "chunked")
    throw Refusal(501, error_code::kUnsupported, "the only Transfer-Encoding is chunked");
  is_chunked = true;
}

std::string host_without_port(const std::string& authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  return authority.substr(0, colon);
}

}  // namespace lay::registry::server
