#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lay::runner {

/// Where a runtime sends the master of a container's terminal (runc's --console-socket).
class ConsoleSocket {
 public:
  /// Listens at `dir`/`name`. `dir` stays open as long as this.
  ConsoleSocket(const UniqueFd& dir, const std::string& name);
  /// As this process's children may open it, however long the way to `dir` is (unix(7): 108 bytes).
  const std::string& path() const { return path_; }
  /// What it has sent; throws when it ended without.
  UniqueFd receive() const;

 private:
  std::string path_;
  UniqueFd listener_;
};

}  // namespace lay::runner
