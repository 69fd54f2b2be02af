#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace lay::registry::server {

/// Which user names and passwords were verified lately, so that bcrypt is not paid for each request. It keeps
/// neither, only hashes of them with a salt of this process. Several threads may use it.
class CredentialCache {
 public:
  using Clock = std::chrono::steady_clock;

  CredentialCache(std::size_t limit, std::chrono::seconds lifetime);

  /// `generation` is that of the password file: what was verified against an older one is forgotten.
  bool has(const std::string& user, const std::string& password, unsigned generation,
           Clock::time_point now = Clock::now());
  void add(const std::string& user, const std::string& password, unsigned generation,
           Clock::time_point now = Clock::now());
  std::size_t size() const;

 private:
  std::string key_of(const std::string& user, const std::string& password, unsigned generation) const;
  void make_room(Clock::time_point now);

  const std::size_t limit_;
  const std::chrono::seconds lifetime_;
  const std::string salt_;
  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point> ends_;  ///< by key
};

}  // namespace lay::registry::server
