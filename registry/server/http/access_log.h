#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace lay::registry::server {

/// What is written of one request.
struct AccessEntry {
  std::chrono::system_clock::time_point begun;
  std::string remote;
  std::string user;
  std::string method;
  std::string target;
  std::string agent;
  int status = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::chrono::microseconds duration{};
  bool is_whole = true;  ///< the answer went out to its end
};

/// One line of JSON. Whatever the client sent is escaped in it.
std::string format_entry(const AccessEntry& entry);

/// Appends a line for each request; each is one write(2), so lines of several threads do not mix.
class AccessLog {
 public:
  /// "-" is standard error, "none" nothing.
  explicit AccessLog(const std::string& path);
  /// Never fails: a full disk must not end what is served.
  void write(const AccessEntry& entry) const;
  /// Opens the file by its name again, after somebody has moved it away; others may write meanwhile. When
  /// that fails it goes on in the old one.
  void reopen();

 private:
  const std::string path_;
  UniqueFd fd_;
};

}  // namespace lay::registry::server
