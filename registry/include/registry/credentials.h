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

/// The auth files of docker and podman, most specific key first (containers-auth.json(5)), and the helpers
/// that registries.conf names beside them or instead (credential-helpers).
class CredentialStore {
 public:
  /// `authfile` (--authfile) is read instead of all others when given; `helpers` are
  /// RegistriesConf::credential_helpers.
  CredentialStore(std::optional<std::string> authfile, std::vector<std::string> helpers);
  /// With the helpers of read_registries_conf().
  explicit CredentialStore(std::optional<std::string> authfile = std::nullopt);

  /// Empty when nobody logged in. Throws not_found when `authfile` was given and is not there,
  /// invalid when a file or credential helper is there but unusable:
  /// falling back to other credentials could send them to the wrong host.
  std::optional<Credentials> find(const std::string& domain, const std::string& repository) const;
  /// Gives it to the first of the helpers, or writes it to the first file (0600, atomically).
  void save(const std::string& domain, const Credentials& credentials) const;
  /// False when there was nothing to forget.
  bool erase(const std::string& domain) const;
  /// All that the files hold or name a helper for.
  void erase_all() const;

 private:
  std::optional<Credentials> find_in_files(const std::string& domain, const std::string& repository) const;
  void save_in_file(const std::string& domain, const Credentials& credentials) const;
  bool erase_from_files(const std::string& domain) const;

  bool is_chosen_;  ///< the only file was given
  std::vector<std::string> helpers_;
  std::vector<std::string> files_;  ///< in the order they are read; the first is written
};

/// The files in the order they are read, from the environment (REGISTRY_AUTH_FILE,
/// XDG_*, DOCKER_CONFIG, HOME).
std::vector<std::string> default_auth_files();

}  // namespace lay::registry
