#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lay::registry::server {

/// The headers that mean something here, checked for what makes two readers of a request disagree about where
/// it ends (request smuggling).
class RequestHeaders {
 public:
  /// Adds one line. A name that is not known here is ignored.
  void add(std::string_view name, std::string_view value);
  /// Throws Refusal 400: a name that is no token (RFC 9110), a folded line, several lengths or hosts, a
  /// length beside a transfer coding, another coding.
  void check();

  std::string host;
  std::string origin;
  std::string authorization;
  std::string content_type;
  std::string content_range;
  std::string range;
  std::string if_range;
  std::string if_none_match;
  std::string user_agent;
  std::string forwarded_proto;  ///< of the first X-Forwarded-Proto: the client's own
  std::string via;              ///< of all such lines, the first in front
  std::optional<std::uint64_t> length;
  bool is_chunked = false;

 private:
  std::string length_text_;
  std::string coding_;
  bool is_malformed_ = false;
  bool is_repeated_ = false;  ///< one that may occur only once
};

/// "localhost:5000" is "localhost"; "[::1]:5000" is "[::1]".
std::string host_without_port(const std::string& authority);

}  // namespace lay::registry::server
