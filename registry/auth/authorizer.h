#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "auth/challenge.h"
#include "client/endpoint.h"
#include "http/http.h"
#include "registry/credentials.h"
#include "registry/transfer.h"

namespace lay::registry {

/// Answers one registry's challenges with one set of credentials. Tokens are kept as long as this lives, for
/// the (realm, service, scope) they were given for. May be used from any thread. What it throws never holds a
/// password or token.
class Authorizer {
 public:
  /// `http` and `endpoint` must outlive it; `domain` is the name the user wrote. `credentials` go before
  /// those of `connection`.
  Authorizer(const HttpClient& http, const Endpoint& endpoint, std::string domain,
             std::optional<Credentials> credentials, const Connection& connection);

  /// What to send as Authorization for `scope`; empty while nothing was asked for.
  std::string current(const std::string& scope) const;
  /// Answers the registry's first 401 ahead of the requests it is for. Without credentials a refusal is kept
  /// back: the repository may be open to everybody.
  void prepare(const HttpResponse& greeting, const std::string& scope);
  /// What to send after `refused` (a 401) to a request that carried `used`. Another thread's answer to the
  /// same refusal is taken over. Throws unauthorized when there is nothing (else) to offer, invalid for
  /// realms to which nothing may be sent.
  std::string answer(const HttpResponse& refused, const std::string& scope, const std::string& used,
                     const std::stop_token& stop);

 private:
  std::string basic_header() const;
  std::string fetch_token(const Challenge& challenge, const std::string& scope,
                          const std::stop_token& stop) const;
  [[noreturn]] void refuse(const std::string& reason) const;

  const HttpClient& http_;
  const Endpoint& endpoint_;
  const std::string domain_;
  const std::optional<Credentials> credentials_;
  const std::vector<std::string> trusted_;  ///< token servers of other sites
  const Patience patience_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> headers_;  ///< by scope
};

/// The address of a challenge's token server. Throws invalid: no realm, none that is a URL, plain http for an
/// https registry, or a literal address nearer than the registry's (`peer`).
Url check_realm(const Challenge& challenge, const Url& registry, AddressClass peer);

/// Whether the token server at `realm` is the registry's own: of the same site (same_site.h), or one of the
/// hosts `trusted`.
bool is_realm_ours(const Url& realm, const Url& registry, const std::vector<std::string>& trusted);

/// Throws denied when credentials for `registry` may not be sent to the token server at `realm`: it is not
/// the registry's own.
void check_realm_is_ours(const Url& realm, const Url& registry, const std::vector<std::string>& trusted);

/// The token of a token server's answer; throws unavailable when it is none, or
/// holds characters no header may.
std::string parse_token(const std::string& body);

}  // namespace lay::registry
