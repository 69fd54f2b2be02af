#include "server/access/tokens.h"

#include <algorithm>

#include "base/syscalls.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kTokenBytes = 32;

}  // namespace

std::string Tokens::issue(const std::string& user, unsigned generation, Clock::time_point now) {
  std::string token = sys::random_hex(kTokenBytes);
  const std::lock_guard lock(mutex_);
  if (logins_.size() >= limit_)
    std::erase_if(logins_, [&](const auto& entry) { return entry.second.end <= now; });
  if (logins_.size() >= limit_)
    logins_.erase(std::min_element(logins_.begin(), logins_.end(), [](const auto& left, const auto& right) {
      return left.second.end < right.second.end;
    }));
  logins_[layerstore::digest_of(token)] = {.user = user, .generation = generation, .end = now + lifetime_};
  return token;
}

std::optional<std::string> Tokens::user_of(std::string_view token, unsigned generation,
                                           Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = logins_.find(layerstore::digest_of(token));
  if (found == logins_.end() || found->second.generation != generation || found->second.end <= now)
    return std::nullopt;
  return found->second.user;
}

}  // namespace lay::registry::server
