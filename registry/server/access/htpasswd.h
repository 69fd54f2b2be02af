#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace lay::registry::server {

/// User names and their bcrypt hashes, from the text of an htpasswd(1) file. Throws invalid, with the line's
/// number, on other hashes than bcrypt and on broken lines.
std::map<std::string, std::string> parse_htpasswd(std::string_view text);

/// An htpasswd file. What changes in it counts from the next check on; when it is broken or gone then, the
/// users of before stay in force.
class Htpasswd {
 public:
  /// Throws not_found, denied or invalid. `report` is told once of each change that left the file unusable.
  Htpasswd(std::string path, std::function<void(const Error&)> report);

  /// Takes as long for a user who is not there. Slow by design (bcrypt): not on a thread that serves
  /// connections. May be called by several threads.
  bool verify(const std::string& user, const std::string& password);
  /// Counts up each time the file has changed, so that what was verified before is worth nothing.
  unsigned generation();

 private:
  /// Tells one state of the file from another; all zero when it cannot be opened.
  struct Version {
    ino_t inode = 0;
    off_t size = 0;
    time_t seconds = 0;
    long nanoseconds = 0;

    bool operator==(const Version&) const = default;
  };

  static Version version_of(const UniqueFd& file);
  void read(const UniqueFd& file);
  void refresh();

  const std::string path_;
  const std::function<void(const Error&)> report_;
  std::mutex mutex_;
  Version read_;                     ///< whose users are in force
  std::optional<Version> reported_;  ///< unusable, as report() was told
  std::map<std::string, std::string> hashes_;
  unsigned generation_ = 0;
};

}  // namespace lay::registry::server
