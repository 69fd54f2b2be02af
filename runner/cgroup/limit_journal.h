#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace lay::runner {

/// What has to be written to a cgroup's file that held `before` and holds `now`, so that it holds `before`
/// again: each string is one write. Files with a line for each device lose the lines that were not there.
std::vector<std::string> writes_to_restore(std::string_view file, std::string_view before,
                                           std::string_view now);

/// What files of a cgroup held before limits were written to them.
class LimitJournal {
 public:
  /// Only the first time counts. A file that cannot be read is passed over.
  void note(const UniqueFd& dir, const std::string& file);
  /// Writes back what has changed, the last first. What the kernel refuses is tried once more behind the
  /// others, since some limits bound each other, and then left.
  void restore() const;

 private:
  struct Entry {
    UniqueFd dir;
    std::string file;
    std::string before;
  };
  std::vector<Entry> entries_;
};

}  // namespace lay::runner
