#include "cgroup/place.h"

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/limit_journal.h"

namespace lay::runner {

void write_limit(const Place& place, const std::string& file, const std::string& text) {
  if (place.journal != nullptr) place.journal->note(place.dir, file);
  write_group_file(place.dir, file, text);
}

std::string limit_text(std::int64_t value, CgroupVersion version) {
  if (value < 0) return version == CgroupVersion::v1 ? "-1" : "max";
  return std::to_string(value);
}

void write_together(const Place& place, const std::vector<BoundLimit>& limits) {
  std::vector<BoundLimit> refused;
  std::optional<Error> reason;
  for (const BoundLimit& limit : limits) {
    try {
      write_limit(place, limit.file, limit.text);
    } catch (Error& error) {
      if (limit.field != nullptr) error.add_context(limit.field);
      if (limit.hint != nullptr) error.with_hint(limit.hint);
      if (error.error_number() != EINVAL) throw;
      refused.push_back(limit);
      if (!reason) reason = error;
    }
  }
  if (refused.size() == limits.size() && reason) throw Error(*reason);
  if (!refused.empty()) write_together(place, refused);
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

Place require_v1(const std::vector<CgroupGroup>& groups, const char* controller, const char* field,
                 const char* file) {
  const auto place = find_place(groups, controller, file, file);
  if (place && place->version == CgroupVersion::v1) return *place;
  throw Error::make(Errc::unsupported, "{} needs the controller {} of cgroup v1 with the file {}", field,
                    controller, file)
      .with_hint("this machine has not mounted it, or its kernel was built without it; leave the field out");
}

std::optional<Place> find_v2(const std::vector<CgroupGroup>& groups, const std::string& file) {
  for (const CgroupGroup& group : groups)
    if (group.hierarchy.version == CgroupVersion::v2 && sys::try_stat_at(group.dir, file))
      return Place{.dir = group.dir, .version = CgroupVersion::v2, .journal = group.journal};
  return std::nullopt;
}

}  // namespace lay::runner
