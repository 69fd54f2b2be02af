#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lay::registry::server {

/// What somebody may do in a repository; each one includes those before it.
enum class Right { none, read, write, remove };

/// --allow USER:REPOSITORY:RIGHT.
struct AccessRule {
  std::string user;        ///< "*" is everybody who logged in, "anonymous" also who did not
  std::string repository;  ///< with * and ? as in fnmatch(3); '*' matches '/' too
  Right right = Right::none;

  bool operator==(const AccessRule&) const = default;
};

/// Throws invalid, saying which part is wrong.
AccessRule parse_access_rule(std::string_view text);

/// Who may do what. Without rules everybody who logged in may do everything; with rules, only what they say.
class AccessRules {
 public:
  /// `anonymous` is what those without a name may do everywhere.
  AccessRules(std::vector<AccessRule> rules, Right anonymous)
      : rules_(std::move(rules)), anonymous_(anonymous) {}

  /// `user` is empty for a request without credentials.
  bool allows(const std::optional<std::string>& user, const std::string& repository, Right right) const;
  /// Whether those without a name may do anything anywhere.
  bool lets_anonymous_in() const;
  /// Whether everybody may read everything.
  bool lets_all_be_read() const;

 private:
  std::vector<AccessRule> rules_;
  Right anonymous_;
};

}  // namespace lay::registry::server
