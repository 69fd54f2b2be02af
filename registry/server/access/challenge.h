#pragma once

#include <chrono>
#include <string>

#include "server/api/request_headers.h"
#include "server/api/response.h"

namespace lay::registry::server {

/// How clients log in to this server.
struct LoginWays {
  /// Some things may be done by who has not logged in. Docker gives up where it is asked for Basic
  /// credentials and has none, but takes a token that stands for nobody.
  bool lets_anonymous_in = false;
  bool has_tls = false;
  std::string host;  ///< of --name, without the port, in lower case
};

/// The value of WWW-Authenticate for a refused request: Bearer with this server's own token endpoint where
/// anonymous clients are let in and the endpoint's address is certain, else Basic. It is not where a proxy in
/// front may have taken the TLS off without saying so (X-Forwarded-Proto), since credentials would go out in
/// the open, nor where it has put in another Host than that of --name. source   distribution's "Token
/// Authentication Specification"; RFC 6750 section 3; RFC 7617
std::string challenge_for(const LoginWays& ways, const RequestHeaders& headers, const Request& request);

/// What the token endpoint answers with.
Response token_response(const std::string& token, std::chrono::seconds lifetime);

}  // namespace lay::registry::server
