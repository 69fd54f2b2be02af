#include "server/access/access_rules.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr const char* kAnonymous = "anonymous";
constexpr const char* kEverybody = "*";

Right parse_right(std::string_view text) {
  if (text == "read") return Right::read;
  if (text == "write") return Right::write;
  if (text == "delete") return Right::remove;
  throw Error::make(Errc::invalid, "'{}' is no right, expected read, write or delete", printable(text));
}

}  // namespace

AccessRule parse_access_rule(std::string_view text) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() != 3 || parts[0].empty() || parts[1].empty())
    throw Error::make(Errc::invalid, "rule '{}': expected USER:REPOSITORY:RIGHT", printable(text))
        .with_hint("for example --allow 'ci:team/*:write'");
  return with_context(fmt::format("rule '{}'", printable(text)), [&] {
    return AccessRule{.user = parts[0], .repository = parts[1], .right = parse_right(parts[2])};
  });
}

bool AccessRules::allows(const std::optional<std::string>& user, const std::string& repository,
                         Right right) const {
  if (right <= anonymous_) return true;
  if (rules_.empty()) return user.has_value();
  return std::any_of(rules_.begin(), rules_.end(), [&](const AccessRule& rule) {
    const bool is_meant =
        rule.user == kAnonymous || (user && (rule.user == kEverybody || rule.user == *user));
    return is_meant && right <= rule.right &&
           ::fnmatch(rule.repository.c_str(), repository.c_str(), FNM_NOESCAPE) == 0;
  });
}

bool AccessRules::lets_anonymous_in() const {
  return anonymous_ > Right::none || std::any_of(rules_.begin(), rules_.end(), [](const AccessRule& rule) {
           return rule.user == kAnonymous && rule.right > Right::none;
         });
}

bool AccessRules::lets_all_be_read() const {
  return anonymous_ >= Right::read || std::any_of(rules_.begin(), rules_.end(), [](const AccessRule& rule) {
           return rule.user == kAnonymous && rule.repository == "*" && rule.right >= Right::read;
         });
}

}  // namespace lay::registry::server
