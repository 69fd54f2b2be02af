#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "registry/credentials.h"
#include "server/access/credential_cache.h"
#include "server/access/htpasswd.h"
#include "server/access/tokens.h"

namespace lay::registry::server {

/// The user and password of an Authorization header (RFC 7617); empty when it holds none.
std::optional<Credentials> parse_basic(std::string_view authorization);

/// The token of an Authorization header (RFC 6750 section 2.1); empty when it holds none.
std::optional<std::string> parse_bearer(std::string_view authorization);

/// Who sends a request.
class Authenticator {
 public:
  /// Without a file nobody has to log in. `report` is told when the file becomes unusable (Htpasswd).
  Authenticator(const std::optional<std::string>& htpasswd_file, std::function<void(const Error&)> report);

  bool is_needed() const { return htpasswd_.has_value(); }
  /// Whether these were verified lately; fast.
  bool knows(const Credentials& credentials);
  /// Verifies them; slow.
  bool verify(const Credentials& credentials);

  /// Stands for a user who was verified, for a while and as long as the password file is not changed. Without
  /// one it stands for nobody, and gives no right that a request without a token has not.
  std::string token_for(const std::optional<std::string>& user);
  std::chrono::seconds token_lifetime() const { return tokens_.lifetime(); }
  /// Whether the token is that for nobody.
  static bool is_nobody(std::string_view token);
  /// Whose token it is; empty when it is no good.
  std::optional<std::string> user_of(std::string_view token);

 private:
  std::optional<Htpasswd> htpasswd_;
  CredentialCache cache_;
  Tokens tokens_;
};

}  // namespace lay::registry::server
