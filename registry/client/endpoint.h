#pragma once

#include <string>
#include <vector>

#include "http/http.h"
#include "registry/transfer.h"

namespace lay::registry {

/// Where a registry's API is.
struct Endpoint {
  Url base;               ///< "https://registry-1.docker.io", no path
  HttpResponse greeting;  ///< the answer to GET /v2/ without credentials: 200, or 401 with challenges
};

/// The addresses to try, in order. docker.io's API is at registry-1.docker.io.
///   - with TlsVerify::required https alone
///   - elsewhere https alone; with TlsVerify::off then http
///   - on localhost, 127.0.0.0/8 and ::1 http, then https (port 443: https alone). A TLS server refuses plain
///   text
///     at once, while a plain server may wait for the end of a line that a TLS greeting never has. The first
///     request carries nothing secret.
/// Throws invalid when `domain` is no host.
std::vector<Url> plan_endpoints(const std::string& domain, TlsVerify tls_verify);

/// Asks them in turn. The next is tried only when the one before does not speak that protocol; a certificate
/// that is not trusted ends it, so nothing falls back to plain http because somebody is in the middle. Throws
/// unavailable ("cannot reach registry …", or it answers, but not as a registry does).
/// A registry that is there but busy, or breaks the connection, is asked again.
Endpoint find_endpoint(const HttpClient& http, const std::string& domain, TlsVerify tls_verify,
                       const Patience& patience);

}  // namespace lay::registry
