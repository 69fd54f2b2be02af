#include "server/access/authenticator.h"

#include "base/base64.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kCachedLogins = 1024;
constexpr std::chrono::seconds kCachedFor{300};

}  // namespace

std::optional<Credentials> parse_basic(std::string_view authorization) {
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || to_lower(authorization.substr(0, space)) != "basic")
    return std::nullopt;
  std::string_view encoded = authorization.substr(space + 1);
  while (encoded.starts_with(' ')) encoded.remove_prefix(1);
  const auto text = base64_decode(encoded);
  if (!text) return std::nullopt;
  const std::size_t colon = text->find(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  return Credentials{.username = text->substr(0, colon), .password = text->substr(colon + 1)};
}

Authenticator::Authenticator(const std::optional<std::string>& htpasswd_file,
                             std::function<void(const Error&)> report)
    : cache_(kCachedLogins, kCachedFor) {
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

}  // namespace lay::registry::server
