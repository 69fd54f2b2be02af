#include "cgroup/cpu_limits.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/text.h"
#include "cgroup/limits.h"
#include "cgroup/place.h"

namespace lay::runner {

namespace {

/// v1's 2 to 262144, of which 1024 is what every other group has, in v2's 1 to 10000 with its 100. Twice the
/// shares are twice the time, as on v1; systemd translates so, too.
std::uint64_t weight_of(std::uint64_t shares) {
  return std::clamp<std::uint64_t>(shares * 100 / kDefaultShares, 1, 10'000);
}

/// An idle group has no shares.
void set_weight(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  std::vector<BoundLimit> limits;
  std::optional<Place> place;
  if (resources.cpu_shares && resources.cpu_idle.value_or(0) == 0) {
    place.emplace(require_place(groups, "cpu", "--cpu-shares", "cpu.shares", "cpu.weight"));
    if (place->version == CgroupVersion::v1)
      limits.push_back({"cpu.shares", std::to_string(*resources.cpu_shares)});
    else
      limits.push_back({"cpu.weight", std::to_string(weight_of(*resources.cpu_shares))});
  }
  if (resources.cpu_idle) {
    const Place idle = require_place(groups, "cpu", "cpu.idle", "cpu.idle", "cpu.idle");
    if (!place) place.emplace(idle);
    limits.push_back({"cpu.idle", std::to_string(*resources.cpu_idle), "cpu.idle"});
  }
  if (place) write_together(*place, limits);
}

/// "QUOTA PERIOD"; what is not given stays as it is.
std::string cpu_max(const Place& place, const Resources& resources) {
  const std::vector<std::string> present = split(read_group_file(place.dir, "cpu.max"), ' ');
  const std::string quota =
      resources.cpu_quota ? limit_text(*resources.cpu_quota, place.version) : present.front();
  const std::string period = resources.cpu_period ? std::to_string(*resources.cpu_period) : present.back();
  return fmt::format("{} {}", quota, period);
}

/// The quota and its period in the words of the controller.
std::vector<BoundLimit> quota_limits(const Place& place, const Resources& resources) {
  if (!resources.cpu_quota && !resources.cpu_period) return {};
  if (place.version == CgroupVersion::v2) return {{"cpu.max", cpu_max(place, resources)}};
  std::vector<BoundLimit> limits;
  if (resources.cpu_period) limits.push_back({"cpu.cfs_period_us", std::to_string(*resources.cpu_period)});
  if (resources.cpu_quota)
    limits.push_back({"cpu.cfs_quota_us", limit_text(*resources.cpu_quota, place.version)});
  return limits;
}

/// A group has no larger part of the time than its parent, and no burst above its quota.
void set_time(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.cpu_quota && !resources.cpu_period && !resources.cpu_burst) return;
  if (resources.cpu_burst) require_place(groups, "cpu", "cpu.burst", "cpu.cfs_burst_us", "cpu.max.burst");
  const Place place = require_place(groups, "cpu", "--cpus", "cpu.cfs_quota_us", "cpu.max");
  std::vector<BoundLimit> limits = quota_limits(place, resources);
  if (resources.cpu_burst)
    limits.push_back({place.version == CgroupVersion::v1 ? "cpu.cfs_burst_us" : "cpu.max.burst",
                      std::to_string(*resources.cpu_burst), "cpu.burst",
                      "a burst is at most the quota, and needs one"});
  write_together(place, limits);
}

void set_realtime(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  constexpr const char* kHint = "it is a part of what the group above has, which at first has none";
  std::vector<BoundLimit> limits;
  if (resources.cpu_realtime_period)
    limits.push_back(
        {"cpu.rt_period_us", std::to_string(*resources.cpu_realtime_period), "cpu.realtimePeriod", kHint});
  if (resources.cpu_realtime_runtime)
    limits.push_back(
        {"cpu.rt_runtime_us", std::to_string(*resources.cpu_realtime_runtime), "cpu.realtimeRuntime", kHint});
  if (limits.empty()) return;
  write_together(require_v1(groups, "cpu", limits.front().field, limits.front().file.c_str()), limits);
}

}  // namespace

void set_cpu_limits(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  set_realtime(groups, resources);
  set_time(groups, resources);
  set_weight(groups, resources);
}

}  // namespace lay::runner
