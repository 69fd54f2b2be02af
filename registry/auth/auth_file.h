#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/credentials.h"

namespace lay::registry {

/// The content of one auth file: docker's config.json, podman's auth.json (containers-auth.json(5)), or the
/// older .dockercfg, which is the "auths" object alone. Members that are not about
/// logins are kept as they are.
class AuthFile {
 public:
  enum class Format { config, legacy };

  /// Throws invalid; no message quotes the content.
  AuthFile(const std::string& text, Format format);

  /// The credential helper that alone knows the host's login ("credHelpers"); empty: none.
  std::string helper_of(const std::string& domain) const;
  /// The one that knows every login which the file does not hold ("credsStore"); empty: none.
  std::string creds_store() const;
  /// For the most specific key: "host/team/app", "host/team", "host"; as it stands before one in another form
  /// (normalise_key()). Throws invalid when its entry cannot be
  /// read, unsupported when the login is of a kind lay does not use.
  std::optional<Credentials> find(const std::string& domain, const std::string& repository) const;
  /// Replaces every entry of the host itself; `key` is how this file names it.
  void set(const std::string& domain, const std::string& key, const Credentials& credentials);
  /// Drops the entries of the host itself; false when there was none.
  bool erase(const std::string& domain);
  /// What it has logins or helpers for: hosts, and keys of repositories, as normalise_key() has them.
  std::vector<std::string> domains() const;
  std::string text() const;

 private:
  const Json* auths() const;
  Json& auths_for_change();

  Json document_;
  Format format_;
};

/// The keys to look for, most specific first: "host/a/b", "host/a", "host".
std::vector<std::string> plan_lookup(const std::string& domain, const std::string& repository);

/// How a key of an auth file is compared: the scheme goes, and with it the path behind the host
/// ("https://host/v1/" is "host"); all names of Docker Hub are "docker.io".
std::string normalise_key(const std::string& key);

}  // namespace lay::registry
