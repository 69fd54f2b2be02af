#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgroup/group.h"

namespace lay::runner {

/// The group that has a controller, and which of the two its files are called after.
struct Place {
  const UniqueFd& dir;
  CgroupVersion version;
  LimitJournal* journal = nullptr;  ///< as the group's
};

/// Writes a limit, and before it what the file held into the journal, where there is one.
void write_limit(const Place& place, const std::string& file, const std::string& text);

/// The controller's files are there only where it is switched on for the group, whatever its root offers: the
/// one given for the version is looked for.
std::optional<Place> find_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                                const std::string& v1_file, const std::string& v2_file);
/// As find_place; throws unsupported, naming flag and controller.
Place require_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                    std::string_view flag, const std::string& v1_file, const std::string& v2_file);
/// A file of v2's core, which no controller owns.
std::optional<Place> find_v2(const std::vector<CgroupGroup>& groups, const std::string& file);

}  // namespace lay::runner
