#pragma once

#include <ctime>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace lay::registry::server {

/// User names and their bcrypt hashes, from the text of an htpasswd(1) file. Throws invalid, with the line's
/// number, on other hashes than bcrypt and on broken lines.
std::map<std::string, std::string> parse_htpasswd(std::string_view text);

/// An htpasswd file. What changes in it counts from the next check on.
class Htpasswd {
 public:
  /// Throws not_found, denied or invalid.
  explicit Htpasswd(std::string path);

  /// Takes as long for a user who is not there. Slow by design (bcrypt): not on a thread that serves
  /// connections. May be called by several threads.
  bool verify(const std::string& user, const std::string& password);
  /// Counts up each time the file has changed, so that what was verified before is worth nothing.
  unsigned generation();

 private:
  void refresh();

  std::string path_;
  std::mutex mutex_;
  struct ::timespec changed_ {};
  std::map<std::string, std::string> hashes_;
  unsigned generation_ = 0;
};

}  // namespace lay::registry::server
