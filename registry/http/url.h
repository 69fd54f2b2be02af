#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lay::registry {

/// An absolute http or https URL, taken apart by the parser that also connects (libcurl's): the host that is
/// checked is the host that is reached.
class Url {
 public:
  /// Throws invalid: not absolute, another scheme, no host, or a user name or password inside.
  static Url parse(const std::string& text);
  /// What a Location header means here (RFC 3986 section 5.2); throws as parse().
  Url resolve(const std::string& location) const;
  /// With "name=value" appended to the query, both percent-encoded.
  Url with_query(std::string_view name, std::string_view value) const;

  const std::string& text() const { return text_; }
  const std::string& scheme() const { return scheme_; }
  /// Lower case; IPv6 in brackets.
  const std::string& host() const { return host_; }
  std::uint16_t port() const { return port_; }
  bool is_https() const { return scheme_ == "https"; }
  /// "host:port", the port only when it is not the scheme's own: for messages.
  std::string authority() const;
  bool same_origin(const Url& other) const;

 private:
  static Url parse_from(const Url* base, const std::string& text);
  std::string text_;
  std::string scheme_;
  std::string host_;
  std::uint16_t port_ = 0;
};

/// Percent-encodes everything but RFC 3986's unreserved characters.
std::string percent_encode(std::string_view text);

}  // namespace lay::registry
