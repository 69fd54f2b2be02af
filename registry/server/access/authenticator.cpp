#include "server/access/authenticator.h"

#include "base/base64.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kCachedLogins = 1024;
constexpr std::chrono::seconds kCachedFor{300};
constexpr std::size_t kTokens = 10'000;
constexpr std::chrono::seconds kTokenLifetime{3600};  // containerd asks for none again during a push
constexpr std::string_view kNobodysToken = "anonymous";

/// What stands behind the scheme of an Authorization header, when it is that one.
std::optional<std::string_view> behind_scheme(std::string_view authorization, std::string_view scheme) {
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || to_lower(authorization.substr(0, space)) != scheme)
    return std::nullopt;
  const std::size_t begin = authorization.find_first_not_of(' ', space);
  return begin == std::string_view::npos ? std::string_view() : authorization.substr(begin);
}

}  // namespace

std::optional<Credentials> parse_basic(std::string_view authorization) {
  const auto encoded = behind_scheme(authorization, "basic");
  const auto text = encoded ? base64_decode(*encoded) : std::nullopt;
  if (!text) return std::nullopt;
  const std::size_t colon = text->find(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  return Credentials{.username = text->substr(0, colon), .password = text->substr(colon + 1)};
}

std::optional<std::string> parse_bearer(std::string_view authorization) {
  const auto token = behind_scheme(authorization, "bearer");
  return token ? std::optional(std::string(*token)) : std::nullopt;
}

Authenticator::Authenticator(const std::optional<std::string>& htpasswd_file,
                             std::function<void(const Error&)> report)
    : cache_(kCachedLogins, kCachedFor), tokens_(kTokens, kTokenLifetime) {
  if (htpasswd_file) htpasswd_.emplace(*htpasswd_file, std::move(report));
}

bool Authenticator::knows(const Credentials& credentials) {
  return cache_.has(credentials.username, credentials.password, htpasswd_->generation());
}

bool Authenticator::verify(const Credentials& credentials) {
  const unsigned generation = htpasswd_->generation();
  if (!htpasswd_->verify(credentials.username, credentials.password)) return false;
  cache_.add(credentials.username, credentials.password, generation);
  return true;
}

std::string Authenticator::token_for(const std::optional<std::string>& user) {
  return user ? tokens_.issue(*user, htpasswd_->generation()) : std::string(kNobodysToken);
}

bool Authenticator::is_nobody(std::string_view token) {
  return token == kNobodysToken;
}

std::optional<std::string> Authenticator::user_of(std::string_view token) {
  return tokens_.user_of(token, htpasswd_->generation());
}

}  // namespace lay::registry::server
