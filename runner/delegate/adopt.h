#pragma once

#include <string>

#include "base/unique_fd.h"
#include "process/process.h"

namespace lay::runner {

/// As long as this lives the calling process is the parent of what other runtimes leave behind:
/// PR_SET_CHILD_SUBREAPER.
class OrphansAdopted {
 public:
  OrphansAdopted();
  OrphansAdopted(const OrphansAdopted&) = delete;
  OrphansAdopted& operator=(const OrphansAdopted&) = delete;
  ~OrphansAdopted();
};

/// The process that a runtime has left, which is this process's child now, by the pid file in `dir`. Throws
/// io when it is gone already, unsupported when it is somebody else's child.
ChildProcess adopt_process(const UniqueFd& dir, const std::string& pid_file);

}  // namespace lay::runner
