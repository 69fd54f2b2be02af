#include "client/endpoint.h"

#include <optional>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/text.h"
#include "client/api_error.h"
#include "http/proxy.h"
#include "http/retry.h"

namespace lay::registry {

namespace {

Url address_of(const char* scheme, const std::string& domain) {
  const std::string host = domain == "docker.io" ? "registry-1.docker.io" : domain;
  return Url::parse(fmt::format("{}://{}", scheme, host));
}

bool has_port(const std::string& domain) {
  const std::size_t bracket = domain.rfind(']');
  return domain.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
}

/// Without a port http and https have different ones, and each may have a proxy of its own.
bool are_reached_alike(const std::string& domain) {
  return has_port(domain) &&
         find_proxy(address_of("http", domain)) == find_proxy(address_of("https", domain));
}

/// Whether the answer says that the other of http and https is spoken there.
bool is_other_protocol(const Answer& answer, const Url& asked, const std::string& domain) {
  using Kind = TransportFailure::Kind;
  if (const auto* response = std::get_if<HttpResponse>(&answer))  // Go's server and nginx say so in words
    return !asked.is_https() && response->status == 400 && response->body.find("HTTPS") != std::string::npos;
  const Kind kind = std::get<TransportFailure>(answer).kind;
  if (kind == Kind::unreachable) return !are_reached_alike(domain);
  return asked.is_https() ? kind == Kind::not_tls : kind == Kind::not_http || kind == Kind::interrupted;
}

bool is_registry(const HttpResponse& response) {
  return response.status == 200 ||
         (response.status == 401 && !response.headers.get("www-authenticate").empty());
}

/// What came of asking, and where.
struct Greeting {
  Url base;
  Answer answer;
};

/// A connection that cannot be made at once is told at once: names and ports are mistyped often.
bool may_pass(const Answer& answer) {
  const auto* failure = std::get_if<TransportFailure>(&answer);
  return failure == nullptr || failure->kind == TransportFailure::Kind::interrupted;
}

[[noreturn]] void fail(const HttpResponse& response, const std::string& domain) {
  if (response.status == 429 || response.status >= 500) throw api_error(response, "registry " + domain);
  if (response.status == 401)
    throw Error::make(Errc::unauthorized,
                      "registry {}: answers GET /v2/ with status 401, and does not say how to log in", domain)
        .with_hint("something in front of the registry may want a login of its own");
  throw Error::make(Errc::unavailable, "registry {}: answers GET /v2/ with status {}, expected 200 or 401",
                    domain, response.status)
      .with_hint("something else than a registry may listen there");
}

/// Asks each in turn, until one speaks its protocol.
Greeting greet(const HttpClient& http, const std::vector<Url>& candidates, const std::string& domain) {
  std::optional<TransportFailure> first;
  for (const Url& base : candidates) {
    const HttpRequest request{.url = base.resolve("/v2/")};
    Answer answer = http.try_send(request);
    const auto* failure = std::get_if<TransportFailure>(&answer);
    if (&base != &candidates.back() && is_other_protocol(answer, base, domain)) {
      if (failure != nullptr) first = *failure;
      continue;
    }
    // A certificate is worth more words than what the other protocol said before.
    if (failure != nullptr && first && failure->kind != TransportFailure::Kind::certificate) answer = *first;
    return {base, std::move(answer)};
  }
  throw Error::make(Errc::unavailable, "registry {}: no address to try", domain);
}

}  // namespace

std::vector<Url> plan_endpoints(const std::string& domain, TlsVerify tls_verify) {
  const Url secure = address_of("https", domain);
  if (tls_verify != TlsVerify::required && is_loopback_host(secure.host())) {
    const Url plain = address_of("http", domain);
    if (plain.port() == 443) return {secure};
    return {plain, secure};
  }
  if (tls_verify == TlsVerify::off) return {secure, address_of("http", domain)};
  return {secure};
}

Endpoint find_endpoint(const HttpClient& http, const std::string& domain, TlsVerify tls_verify,
                       const Patience& patience) {
  const std::vector<Url> candidates = plan_endpoints(domain, tls_verify);
  Retries retries(patience, {});
  for (;;) {
    Greeting greeting = greet(http, candidates, domain);
    auto* response = std::get_if<HttpResponse>(&greeting.answer);
    if (response != nullptr && is_registry(*response)) return {greeting.base, std::move(*response)};
    if (may_pass(greeting.answer) && retries.again(greeting.answer)) continue;
    if (response != nullptr) fail(*response, domain);
    throw transport_error("registry " + domain, std::get<TransportFailure>(greeting.answer));
  }
}

}  // namespace lay::registry
