#pragma once

#include <optional>
#include <string>

#include "registry/credentials.h"

namespace lay::registry {

/// The program docker-credential-NAME of the PATH (docker's credential helper protocol): the registry goes to
/// its stdin, the login comes from its stdout. Run without a shell, and given up after kHelperSeconds. What
/// it throws holds no secret.
class CredentialHelper {
 public:
  /// Throws invalid for a name that is no file name ("../x", "a b").
  explicit CredentialHelper(std::string name);

  /// Empty when it has no login for `domain`. Throws unavailable when it is missing, fails, hangs, or answers
  /// with something else: other credentials must not stand in for it.
  std::optional<Credentials> get(const std::string& domain) const;
  void store(const std::string& domain, const Credentials& credentials) const;
  /// False when it had none.
  bool erase(const std::string& domain) const;

 private:
  struct Result {
    int status = 0;
    std::string output;
  };
  Result run(const std::string& verb, const std::string& input) const;
  [[noreturn]] void fail(const std::string& reason) const;

  std::string name_;
};
constexpr int kHelperSeconds = 60;  ///< a person may have to touch a key

/// How helpers name a registry: the Hub by its old address.
std::string helper_server(const std::string& domain);

}  // namespace lay::registry
