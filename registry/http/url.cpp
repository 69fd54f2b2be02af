#include "http/url.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "http/curl_library.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxUrl = 16 * 1024;

struct HandleCloser {
  void operator()(CURLU* handle) const { curl().url_cleanup(handle); }
};
using Handle = std::unique_ptr<CURLU, HandleCloser>;

struct TextFreer {
  void operator()(char* text) const { curl().free(text); }
};

[[noreturn]] void refuse(const std::string& text, std::string_view reason) {
  // A query may hold signatures or tokens: it is never shown.
  throw Error::make(Errc::invalid, "address '{}': {}", printable(text.substr(0, text.find_first_of("?#"))),
                    reason);
}

/// Empty when the URL does not have that part.
std::string part_of(const Handle& handle, CURLUPart part, unsigned flags = 0) {
  char* raw = nullptr;
  if (curl().url_get(handle.get(), part, &raw, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, TextFreer> text(raw);
  return text.get();
}

}  // namespace

Url Url::parse_from(const Url* base, const std::string& text) {
  if (text.size() > kMaxUrl) refuse(text.substr(0, 64), fmt::format("longer than {} bytes", kMaxUrl));
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) refuse(text, "has a space or control character");
  const Handle handle(curl().url());
  if (!handle) throw Error::make(Errc::io, "out of memory");
  if (base != nullptr) curl().url_set(handle.get(), CURLUPART_URL, base->text_.c_str(), 0);
  // Neither message shows the text: it may hold a password.
  if (curl().url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    throw Error::make(Errc::invalid, "not an address");
  if (!part_of(handle, CURLUPART_USER).empty() || !part_of(handle, CURLUPART_PASSWORD).empty())
    throw Error::make(Errc::invalid, "an address with a user name or password in it");
  Url url;
  url.text_ = part_of(handle, CURLUPART_URL);
  url.scheme_ = part_of(handle, CURLUPART_SCHEME);
  if (url.scheme_ != "https" && url.scheme_ != "http") refuse(url.text_, "neither http nor https");
  url.host_ = to_lower(part_of(handle, CURLUPART_HOST));
  const auto port = parse_number(part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if (url.host_.empty() || !port || *port == 0 || *port > 65535)
    refuse(url.text_, "has no host or a wrong port");
  url.port_ = static_cast<std::uint16_t>(*port);
  return url;
}

Url Url::parse(const std::string& text) {
  if (text.find("://") == std::string::npos) refuse(text, "not absolute");
  return parse_from(nullptr, text);
}

Url Url::resolve(const std::string& location) const {
  return parse_from(this, location);
}

Url Url::with_query(std::string_view name, std::string_view value) const {
  const char separator = text_.find('?') == std::string::npos ? '?' : '&';
  return parse(fmt::format("{}{}{}={}", text_, separator, percent_encode(name), percent_encode(value)));
}

std::string Url::authority() const {
  const bool is_default = port_ == (is_https() ? 443 : 80);
  return is_default ? host_ : fmt::format("{}:{}", host_, port_);
}

bool Url::same_origin(const Url& other) const {
  return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
}

std::string percent_encode(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    result += unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

}  // namespace lay::registry
