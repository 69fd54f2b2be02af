#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "lists/filters.h"

namespace lay::cli {

/// "--filter" of prune, as docker and podman have it: until, label, label!. All that are given must fit.
class PruneFilter {
 public:
  /// Throws UsageError.
  explicit PruneFilter(const std::vector<std::string>& texts);

  /// Of an image or a container. What does not say when it was made is not older than anything.
  bool fits(const std::optional<Time>& created, const std::map<std::string, std::string>& labels) const;

 private:
  Filters filters_;
  std::optional<Time> until_;
};

}  // namespace lay::cli
