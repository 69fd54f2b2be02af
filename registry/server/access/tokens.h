#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "layerstore/digest.h"

namespace lay::registry::server {

/// Tokens that stand for a login (distribution's "Token Authentication"): they say who somebody is, what he
/// may do is decided at each request. Kept as hashes in memory, so they end with the server. Several threads
/// may use it.
class Tokens {
 public:
  using Clock = std::chrono::steady_clock;

  Tokens(std::size_t limit, std::chrono::seconds lifetime) : limit_(limit), lifetime_(lifetime) {}

  std::chrono::seconds lifetime() const { return lifetime_; }
  /// A new one; beyond the limit that which ends first is forgotten. `generation` is that of the password
  /// file: a token of an older one is worth nothing.
  std::string issue(const std::string& user, unsigned generation, Clock::time_point now = Clock::now());
  /// Whose it is; empty when it is no token of this server or has ended.
  std::optional<std::string> user_of(std::string_view token, unsigned generation,
                                     Clock::time_point now = Clock::now());

 private:
  struct Login {
    std::string user;
    unsigned generation = 0;
    Clock::time_point end;
  };

  const std::size_t limit_;
  const std::chrono::seconds lifetime_;
  std::mutex mutex_;
  std::map<layerstore::Digest, Login> logins_;  ///< by the token's digest: comparing it tells nothing of it
};

}  // namespace lay::registry::server
