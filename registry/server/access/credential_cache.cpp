#include "server/access/credential_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/syscalls.h"
#include "layerstore/digest.h"

namespace lay::registry::server {

CredentialCache::CredentialCache(std::size_t limit, std::chrono::seconds lifetime)
    : limit_(limit), lifetime_(lifetime), salt_(sys::random_hex(32)) {}

std::string CredentialCache::key_of(const std::string& user, const std::string& password,
                                    unsigned generation) const {
  // Lengths, so that no two pairs give the same bytes.
  return layerstore::digest_of(fmt::format("{} {} {} {}{}", salt_, generation, user.size(), user, password))
      .hex();
}

bool CredentialCache::has(const std::string& user, const std::string& password, unsigned generation,
                          Clock::time_point now) {
  const std::string key = key_of(user, password, generation);
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(key);
  return found != ends_.end() && now < found->second;
}

/// What has ended goes, and when that is not enough, what ends first.
void CredentialCache::make_room(Clock::time_point now) {
  std::erase_if(ends_, [&](const auto& entry) { return entry.second <= now; });
  if (ends_.size() < limit_) return;
  ends_.erase(std::min_element(ends_.begin(), ends_.end(), [](const auto& left, const auto& right) {
    return left.second < right.second;
  }));
}

void CredentialCache::add(const std::string& user, const std::string& password, unsigned generation,
                          Clock::time_point now) {
  const std::string key = key_of(user, password, generation);
  const std::lock_guard lock(mutex_);
  if (ends_.size() >= limit_) make_room(now);
  ends_[key] = now + lifetime_;
}

std::size_t CredentialCache::size() const {
  const std::lock_guard lock(mutex_);
  return ends_.size();
}

}  // namespace lay::registry::server
