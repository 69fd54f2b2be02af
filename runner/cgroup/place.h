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

/// -1 is "no limit".
std::string limit_text(std::int64_t value, CgroupVersion version);

/// Writes a limit, and before it what the file held into the journal, where there is one.
void write_limit(const Place& place, const std::string& file, const std::string& text);

/// A limit of which the kernel may refuse a value until another one is written.
struct BoundLimit {
  std::string file;
  std::string text;
  const char* field = nullptr;  ///< its name for the user, where the file's does not say enough
  const char* hint = nullptr;
};

/// Writes each, and what the kernel refuses (EINVAL) again behind the others, as long as that helps.
void write_together(const Place& place, const std::vector<BoundLimit>& limits);

/// The controller's files are there only where it is switched on for the group, whatever its root offers: the
/// one given for the version is looked for.
std::optional<Place> find_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                                const std::string& v1_file, const std::string& v2_file);
/// As find_place; throws unsupported, naming flag and controller.
Place require_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                    std::string_view flag, const std::string& v1_file, const std::string& v2_file);
/// For a file that v2 has nothing like. Throws unsupported, naming the field that needs it.
Place require_v1(const std::vector<CgroupGroup>& groups, const char* controller, const char* field,
                 const char* file);
/// A file of v2's core, which no controller owns.
std::optional<Place> find_v2(const std::vector<CgroupGroup>& groups, const std::string& file);

}  // namespace lay::runner
