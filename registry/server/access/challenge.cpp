#include "server/access/challenge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "http/address.h"
#include "server/api/api.h"

namespace lay::registry::server {

namespace {

constexpr const char* kBasic = "Basic realm=\"lay\", charset=\"UTF-8\"";

/// Nothing that ends a quoted string or a URL's authority.
bool is_authority(const std::string& host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == ':' || c == '[' || c == ']';
  });
}

/// By which the client reached this server, or the proxy in front of it; empty when that is not certain.
std::optional<std::string> scheme_for(const LoginWays& ways, const RequestHeaders& headers,
                                      const std::string& host) {
  const bool is_local = is_loopback_host(host);
  const std::string forwarded = to_lower(headers.forwarded_proto);
  if (!forwarded.empty()) {
    // Another host may be what the proxy has put in: clients cannot reach it, or it is their own machine
    const bool is_passed_on = host == ways.host && !is_local;
    return is_passed_on && (forwarded == "https" || forwarded == "http") ? std::optional(forwarded)
                                                                         : std::nullopt;
  }
  if (ways.has_tls) return "https";
  if (is_local && is_loopback_host(ways.host)) return "http";
  return std::nullopt;
}

std::string scope_of(const Request& request) {
  if (request.target.repository.empty()) return "";
  const bool reads = request.method == "GET" || request.method == "HEAD";
  return fmt::format(",scope=\"repository:{}:{}\"", request.target.repository, reads ? "pull" : "pull,push");
}

}  // namespace

std::string challenge_for(const LoginWays& ways, const RequestHeaders& headers, const Request& request) {
  if (!ways.lets_anonymous_in || request.target.endpoint == Endpoint::token || !is_authority(headers.host))
    return kBasic;
  const auto scheme = scheme_for(ways, headers, to_lower(host_without_port(headers.host)));
  if (!scheme) return kBasic;
  return fmt::format("Bearer realm=\"{}://{}/token\",service=\"{}\"{}", *scheme, headers.host, headers.host,
                     scope_of(request));
}

Response token_response(const std::string& token, std::chrono::seconds lifetime) {
  Response response = json_response(
      200, dump_json(Json{{"token", token}, {"access_token", token}, {"expires_in", lifetime.count()}}),
      "application/json");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace lay::registry::server
