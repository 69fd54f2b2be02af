#include "auth/authorizer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "client/api_error.h"
#include "http/redirect.h"
#include "http/retry.h"
#include "http/same_site.h"

namespace lay::registry {

namespace {

constexpr std::uint64_t kMaxTokenAnswer = 1024 * 1024;

std::vector<Challenge> challenges_of(const HttpResponse& response) {
  std::vector<Challenge> all;
  for (const std::string& field : response.headers.all("www-authenticate"))
    for (Challenge& challenge : parse_challenges(field)) all.push_back(std::move(challenge));
  return all;
}

const Challenge* find_scheme(const std::vector<Challenge>& challenges, const std::string& scheme) {
  const auto it = std::find_if(challenges.begin(), challenges.end(),
                               [&](const Challenge& c) { return c.scheme == scheme; });
  return it == challenges.end() ? nullptr : &*it;
}

std::string parameter(const Challenge& challenge, const std::string& name) {
  const auto it = challenge.parameters.find(name);
  return it == challenge.parameters.end() ? std::string() : it->second;
}

/// distribution "token authentication": GET with the scope in the query, credentials as Basic.
HttpRequest plan_token_get(const Url& realm, const std::string& service, const std::string& scope,
                           const std::string& basic) {
  HttpRequest request{.url = realm, .authorization = basic};
  if (!service.empty()) request.url = request.url.with_query("service", service);
  for (const std::string& part : split(scope, ' '))
    if (!part.empty()) request.url = request.url.with_query("scope", part);
  return request;
}

/// distribution "OAuth2 token authentication": POST of a form with the refresh token.
HttpRequest plan_token_post(const Url& realm, const std::string& service, const std::string& scope,
                            const std::string& refresh_token) {
  std::string form = "grant_type=refresh_token&client_id=lay";
  form += "&refresh_token=" + percent_encode(refresh_token);
  form += "&service=" + percent_encode(service);
  if (!scope.empty()) form += "&scope=" + percent_encode(scope);
  return {.method = "POST",
          .url = realm,
          .body = text_body(std::move(form), "application/x-www-form-urlencoded")};
}

}  // namespace

Url check_realm(const Challenge& challenge, const Url& registry, AddressClass peer) {
  const std::string text = parameter(challenge, "realm");
  if (text.empty()) throw Error(Errc::invalid, "the challenge names no token server");
  Url realm = with_context("token server", [&] { return Url::parse(text); });
  check_not_downgraded(registry, realm);
  const std::string& host = realm.host();
  const bool is_literal = host.front() == '[' || host.find_first_not_of("0123456789.") == std::string::npos;
  const std::string literal = host.front() == '[' ? host.substr(1, host.size() - 2) : host;
  const AddressClass place = is_literal               ? classify_literal(literal)
                             : is_loopback_host(host) ? AddressClass::loopback
                                                      : AddressClass::global;
  if (host != registry.host() && place > peer)
    throw Error::make(Errc::invalid, "token server '{}' is nearer than the registry itself; refused",
                      realm.authority());
  return realm;
}

bool is_realm_ours(const Url& realm, const Url& registry, const std::vector<std::string>& trusted) {
  return is_same_site(realm.host(), registry.host()) ||
         std::find(trusted.begin(), trusted.end(), realm.host()) != trusted.end();
}

void check_realm_is_ours(const Url& realm, const Url& registry, const std::vector<std::string>& trusted) {
  if (is_realm_ours(realm, registry, trusted)) return;
  throw Error::make(
      Errc::denied,
      "token server '{}' is not of the registry's own domain: the credentials are not sent there",
      realm.authority())
      .with_hint(fmt::format("if both belong together, say so: LAY_TOKEN_SERVERS={}", realm.host()));
}

std::string parse_token(const std::string& body) {
  std::string token;
  try {
    const Json document = parse_json(body, "token");
    token = json_string_or(document, "token", "");
    if (token.empty()) token = json_string_or(document, "access_token", "");
  } catch (const Error&) {  // its text may quote the answer, and the answer may hold a token
    throw Error(Errc::unavailable, "the token server's answer is not what the specification says");
  }
  if (token.empty()) throw Error(Errc::unavailable, "the token server answered without a token");
  if (std::any_of(token.begin(), token.end(), [](char c) { return c <= 0x20 || c >= 0x7f; }))
    throw Error(Errc::unavailable, "the token server's token has characters that no header may have");
  return token;
}

Authorizer::Authorizer(const HttpClient& http, const Endpoint& endpoint, std::string domain,
                       std::optional<Credentials> credentials, const Connection& connection)
    : http_(http),
      endpoint_(endpoint),
      domain_(std::move(domain)),
      credentials_(std::move(credentials)),
      trusted_(connection.token_servers),
      patience_(connection.patience) {}

std::string Authorizer::current(const std::string& scope) const {
  const std::scoped_lock lock(mutex_);
  const auto it = headers_.find(scope);
  return it == headers_.end() ? std::string() : it->second;
}

void Authorizer::refuse(const std::string& reason) const {
  throw Error(Errc::unauthorized, reason).with_hint(fmt::format("lay login {}", domain_));
}

std::string Authorizer::basic_header() const {
  if (!credentials_ || credentials_->username.empty()) return {};
  return "Basic " + base64_encode(credentials_->username + ":" + credentials_->password);
}

std::string Authorizer::fetch_token(const Challenge& challenge, const std::string& scope,
                                    const std::stop_token& stop) const {
  const Url realm = check_realm(challenge, endpoint_.base, endpoint_.greeting.peer);
  if (credentials_) check_realm_is_ours(realm, endpoint_.base, trusted_);
  const std::string service = parameter(challenge, "service");
  const bool has_identity = credentials_ && !credentials_->identity_token.empty();
  HttpRequest request = has_identity ? plan_token_post(realm, service, scope, credentials_->identity_token)
                                     : plan_token_get(realm, service, scope, basic_header());
  request.limit = kMaxTokenAnswer;
  request.stop = stop;
  if (is_realm_ours(realm, endpoint_.base, trusted_)) request.trust = Trust::registry;
  if (realm.host() != endpoint_.base.host()) request.nearest = endpoint_.greeting.peer;
  // A refresh token is in the body, which a redirect would carry elsewhere.
  const auto ask = [&] { return has_identity ? http_.try_send(request) : http_.try_follow(request); };
  Retries retries(patience_, stop);
  Answer given = ask();
  while (retries.again(given)) given = ask();
  const HttpResponse response = require_response(std::move(given));
  const bool is_refusal = response.status == 400 || response.status == 401 || response.status == 403;
  if (is_refusal && credentials_) refuse("the credentials were refused");
  if (is_refusal) refuse("authentication required");
  if (!response.ok()) throw api_error(response, fmt::format("token server '{}'", realm.authority()));
  return "Bearer " + parse_token(response.body);
}

void Authorizer::prepare(const HttpResponse& greeting, const std::string& scope) {
  try {
    answer(greeting, scope, "", {});
  } catch (const Error& error) {
    if (credentials_ || error.code() != Errc::unauthorized) throw;
  }
}

std::string Authorizer::answer(const HttpResponse& refused, const std::string& scope, const std::string& used,
                               const std::stop_token& stop) {
  const std::scoped_lock lock(mutex_);
  std::string& header = headers_[scope];
  if (header != used) return header;  // another thread was refused at the same time and has asked already
  const std::vector<Challenge> challenges = challenges_of(refused);
  if (const Challenge* bearer = find_scheme(challenges, "bearer")) {
    header = fetch_token(*bearer, scope, stop);
    return header;
  }
  if (challenges.empty())
    throw Error(Errc::unauthorized, "the registry refuses, and does not say how to log in");
  if (find_scheme(challenges, "basic") == nullptr)
    throw Error(Errc::unsupported, "the registry wants an authentication that is neither Basic nor Bearer");
  const std::string basic = basic_header();
  if (basic.empty()) refuse("authentication required");
  if (basic == used) refuse("the credentials were refused");
  header = basic;
  return header;
}

}  // namespace lay::registry
