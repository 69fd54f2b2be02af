#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "layerstore/lower_link.h"

namespace lay::layerstore {

/// What has to be done about the layers of one stack so that they show what they would unpacked one after the
/// other. It follows from their diff_ids, and finding it out takes a look at each implied folder in each
/// layer.
struct StackPlan {
  std::map<std::size_t, std::vector<LowerLink>>
      links;                 ///< by the place in the stack, for those that land elsewhere
  bool has_parents = false;  ///< a lower of folders comes on top

  bool operator==(const StackPlan&) const = default;
};

/// Empty when nobody has written it, or not to its end.
std::optional<StackPlan> read_plan(const UniqueFd& dir, const std::string& name);
void write_plan(const UniqueFd& dir, const std::string& name, const StackPlan& plan);

}  // namespace lay::layerstore
