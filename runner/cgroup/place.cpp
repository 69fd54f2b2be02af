#include "cgroup/place.h"

#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/limit_journal.h"

namespace lay::runner {

void write_limit(const Place& place, const std::string& file, const std::string& text) {
  if (place.journal != nullptr) place.journal->note(place.dir, file);
  write_group_file(place.dir, file, text);
}

std::optional<Place> find_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                                const std::string& v1_file, const std::string& v2_file) {
  for (const CgroupGroup& group : groups) {
    if (!group.hierarchy.has(controller)) continue;
    const CgroupVersion version = group.hierarchy.version;
    if (sys::try_stat_at(group.dir, version == CgroupVersion::v1 ? v1_file : v2_file))
      return Place{.dir = group.dir, .version = version, .journal = group.journal};
  }
  return std::nullopt;
}

Place require_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                    std::string_view flag, const std::string& v1_file, const std::string& v2_file) {
  if (std::optional<Place> place = find_place(groups, controller, v1_file, v2_file)) return *place;
  throw Error::make(Errc::unsupported,
                    "{} needs the cgroup controller '{}', which this machine does not offer", flag,
                    controller)
      .with_hint("leave the limit out, or mount and enable the controller (see cgroups(7))");
}

std::optional<Place> find_v2(const std::vector<CgroupGroup>& groups, const std::string& file) {
  for (const CgroupGroup& group : groups)
    if (group.hierarchy.version == CgroupVersion::v2 && sys::try_stat_at(group.dir, file))
      return Place{.dir = group.dir, .version = CgroupVersion::v2, .journal = group.journal};
  return std::nullopt;
}

}  // namespace lay::runner
