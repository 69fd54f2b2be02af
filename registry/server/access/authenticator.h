#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "registry/credentials.h"
#include "server/access/credential_cache.h"
#include "server/access/htpasswd.h"

namespace lay::registry::server {

/// The user and password of an Authorization header (RFC 7617); empty when it holds none.
std::optional<Credentials> parse_basic(std::string_view authorization);

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

 private:
  std::optional<Htpasswd> htpasswd_;
  CredentialCache cache_;
};

}  // namespace lay::registry::server
