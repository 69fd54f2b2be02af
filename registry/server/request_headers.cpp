#include "server/request_headers.h"

#include <array>
#include <utility>

#include "base/text.h"
#include "server/refusal.h"

namespace lay::registry::server {

void RequestHeaders::add(std::string_view name, std::string_view value) {
  const std::string key = to_lower(name);
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
