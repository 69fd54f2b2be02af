#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lay::registry {

struct Credentials {
  std::string username;
  std::string password;
  std::string identity_token;  ///< an OAuth2 refresh token; then username and password are empty

  bool operator==(const Credentials&) const = default;
};

/// The auth files of docker and podman, most specific key first (containers-auth.json(5)).
class CredentialStore {
 public:
  /// `authfile` (--authfile) is read instead of all others when given.
  explicit CredentialStore(std::optional<std::string> authfile = std::nullopt);

  /// Empty when nobody logged in. Throws invalid when a file or credential helper is there but unusable:
  /// falling back to other credentials could send them to the wrong host.
  std::optional<Credentials> find(const std::string& domain, const std::string& repository) const;
  /// Writes to the first file (0600, atomically).
  void save(const std::string& domain, const Credentials& credentials) const;
  /// False when there was nothing to forget.
  bool erase(const std::string& domain) const;

 private:
  std::vector<std::string> files_;  ///< in the order they are read; the first is written
};

/// The files in the order they are read, from the environment (REGISTRY_AUTH_FILE,
/// XDG_*, DOCKER_CONFIG, HOME).
std::vector<std::string> default_auth_files();

}  // namespace lay::registry
