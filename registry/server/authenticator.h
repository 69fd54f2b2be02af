#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/credentials.h"
#include "server/credential_cache.h"
#include "server/htpasswd.h"

namespace lay::registry::server {

/// The user and password of an Authorization header (RFC 7617); empty when it holds none.
std::optional<Credentials> parse_basic(std::string_view authorization);

/// Who sends a request.
class Authenticator {
 public:
  /// Without a file nobody has to log in.
  explicit Authenticator(const std::optional<std::string>& htpasswd_file);

  bool is_needed() const { return htpasswd_.has_value(); }
  /// Whether these were verified lately; fast.
  bool knows(const Credentials& credentials);
  /// Verifies them; slow.
  bool verify(const Credentials& credentials);

 private:
  std::optional<Htpasswd> htpasswd_;
  CredentialCache cache_;
};

}  // namespace lay::registry::server
