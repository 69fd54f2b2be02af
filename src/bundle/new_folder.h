#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lay::cli {

/// A folder that appears as a whole: it is filled under a hidden name beside its place, and vanishes without
/// commit().
class NewFolder {
 public:
  /// Throws exists, with a hint, when something is at `path` but an empty folder; not_found when it has no
  /// parent.
  explicit NewFolder(const std::string& path);
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder();

  const UniqueFd& dir() const { return dir_; }
  void commit();

 private:
  std::string name_;
  UniqueFd parent_;
  std::string temporary_;
  UniqueFd dir_;
};

}  // namespace lay::cli
