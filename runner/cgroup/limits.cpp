#include "cgroup/limits.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/device_filter.h"
#include "cgroup/device_rules.h"

namespace lay::runner {

namespace {

constexpr std::uint64_t kDefaultPeriod = 100'000;  // microseconds, sched-bwc.rst

/// "file" of v1, "file" of v2: the group that has the controller, and which of the
/// two its files are called after.
struct Place {
  const UniqueFd& dir;
  CgroupVersion version;
};

/// The controller's files are there only where it is switched on for the group, whatever its root offers.
std::optional<Place> find_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                                const char* v1_file, const char* v2_file) {
  for (const CgroupGroup& group : groups) {
    if (!group.hierarchy.has(controller)) continue;
    const CgroupVersion version = group.hierarchy.version;
    if (sys::try_stat_at(group.dir, version == CgroupVersion::v1 ? v1_file : v2_file))
      return Place{.dir = group.dir, .version = version};
  }
  return std::nullopt;
}

Place require_place(const std::vector<CgroupGroup>& groups, std::string_view controller,
                    std::string_view flag, const char* v1_file, const char* v2_file) {
  if (std::optional<Place> place = find_place(groups, controller, v1_file, v2_file)) return *place;
  throw Error::make(Errc::unsupported,
                    "{} needs the cgroup controller '{}', which this machine does not offer", flag,
                    controller)
      .with_hint("leave the limit out, or mount and enable the controller (see cgroups(7))");
}

/// -1 is "no limit".
std::string limit_text(std::int64_t value, CgroupVersion version) {
  if (value < 0) return version == CgroupVersion::v1 ? "-1" : "max";
  return std::to_string(value);
}

/// v2 counts swap alone, the runtime-spec and v1 memory and swap together.
std::string swap_text(std::int64_t total, std::optional<std::int64_t> memory, CgroupVersion version) {
  if (total < 0 || version == CgroupVersion::v1) return limit_text(total, version);
  const std::int64_t swap = total - memory.value_or(0);
  if (swap < 0)
    throw Error::make(Errc::invalid, "--memory-swap {} is less than --memory {}", total, memory.value_or(0));
  return std::to_string(swap);
}

/// Writes each, in the other order when the kernel refuses the first: v1 wants a sum of memory and swap that
/// is never less than the memory, before and after each write.
void write_both(const UniqueFd& dir, const std::pair<const char*, std::string>& memory,
                const std::pair<const char*, std::string>& swap) {
  try {
    write_group_file(dir, memory.first, memory.second);
  } catch (const Error& error) {
    if (error.error_number() != EINVAL) throw;
    write_group_file(dir, swap.first, swap.second);
    return write_group_file(dir, memory.first, memory.second);
  }
  write_group_file(dir, swap.first, swap.second);
}

void set_memory(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  constexpr const char* kV1Swap = "memory.memsw.limit_in_bytes";
  if (!resources.memory_limit && !resources.memory_swap) return;
  const Place place = require_place(groups, "memory", "--memory", "memory.limit_in_bytes", "memory.max");
  const bool is_v1 = place.version == CgroupVersion::v1;
  const char* const memory_file = is_v1 ? "memory.limit_in_bytes" : "memory.max";
  const std::string memory = limit_text(resources.memory_limit.value_or(-1), place.version);
  const std::optional<Place> swap_place = find_place(groups, "memory", kV1Swap, "memory.swap.max");
  if (!resources.memory_swap || !swap_place) return write_group_file(place.dir, memory_file, memory);
  const std::string swap = swap_text(*resources.memory_swap, resources.memory_limit, place.version);
  write_both(place.dir, {memory_file, memory}, {is_v1 ? kV1Swap : "memory.swap.max", swap});
}

void set_memory_reservation(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.memory_reservation) return;
  const Place place =
      require_place(groups, "memory", "--memory-reservation", "memory.soft_limit_in_bytes", "memory.low");
  write_group_file(place.dir,
                   place.version == CgroupVersion::v1 ? "memory.soft_limit_in_bytes" : "memory.low",
                   std::to_string(*resources.memory_reservation));
}

/// v1's 2 to 262144, of which 1024 is what every other group has, in v2's 1 to 10000 with its 100.
std::uint64_t weight_of(std::uint64_t shares) {
  return std::clamp<std::uint64_t>(shares * 100 / kDefaultShares, 1, 10'000);
}

void set_cpu_shares(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.cpu_shares) return;
  const Place place = require_place(groups, "cpu", "--cpu-shares", "cpu.shares", "cpu.weight");
  if (place.version == CgroupVersion::v1)
    return write_group_file(place.dir, "cpu.shares", std::to_string(*resources.cpu_shares));
  write_group_file(place.dir, "cpu.weight", std::to_string(weight_of(*resources.cpu_shares)));
}

void set_cpuset(const std::vector<CgroupGroup>& groups, const char* flag, const char* file,
                const std::string& list) {
  if (list.empty()) return;
  const Place place = require_place(groups, "cpuset", flag, file, file);
  try {
    write_group_file(place.dir, file, list);
  } catch (Error& error) {
    error.add_context(fmt::format("{} '{}'", flag, printable(list)));
    error.with_hint("lscpu shows the processors and memory nodes of this machine");
    throw;
  }
}

void set_cpu(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.cpu_quota && !resources.cpu_period) return;
  const Place place = require_place(groups, "cpu", "--cpus", "cpu.cfs_quota_us", "cpu.max");
  const std::uint64_t period = resources.cpu_period.value_or(kDefaultPeriod);
  const std::string quota = limit_text(resources.cpu_quota.value_or(-1), place.version);
  if (place.version == CgroupVersion::v2)
    return write_group_file(place.dir, "cpu.max", fmt::format("{} {}", quota, period));
  write_group_file(place.dir, "cpu.cfs_period_us", std::to_string(period));
  write_group_file(place.dir, "cpu.cfs_quota_us", quota);
}

void set_pids(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.pids_limit) return;
  const Place place = require_place(groups, "pids", "--pids-limit", "pids.max", "pids.max");
  write_group_file(place.dir, "pids.max",
                   limit_text(*resources.pids_limit > 0 ? *resources.pids_limit : -1, CgroupVersion::v2));
}

/// In v2 all groups of a container are one. Without any group nothing can be kept from devices.
void filter_devices(const std::vector<CgroupGroup>& groups, const std::vector<DeviceRule>& rules) {
  if (rules.empty()) return;
  for (const CgroupGroup& group : groups)
    if (group.hierarchy.version == CgroupVersion::v2) return attach_device_filter(group.dir, rules);
  throw Error(Errc::unsupported, "this machine cannot hold containers to device rules")
      .with_hint("that takes cgroup v2, or the devices controller of v1 (see cgroups(7))");
}

void set_devices(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  const std::vector<DeviceRule> rules = normal_device_rules(resources.devices);
  const std::optional<Place> place = find_place(groups, "devices", "devices.allow", "devices.allow");
  if (!place) return filter_devices(groups, rules);
  for (const DeviceRule& rule : rules)
    write_group_file(place->dir, rule.allow ? "devices.allow" : "devices.deny", format_device_rule(rule));
}

}  // namespace

std::string format_device_rule(const DeviceRule& rule) {
  if (rule.type == "a") return "a";
  if (rule.type != "b" && rule.type != "c")
    throw Error::make(Errc::invalid, "device rule has the unknown type '{}'", printable(rule.type));
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "*";
  };
  return fmt::format("{} {}:{} {}", rule.type, number(rule.major), number(rule.minor), rule.access);
}

void set_limits(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  set_memory(groups, resources);
  set_memory_reservation(groups, resources);
  set_cpu(groups, resources);
  set_cpu_shares(groups, resources);
  set_cpuset(groups, "--cpuset-cpus", "cpuset.cpus", resources.cpus);
  set_cpuset(groups, "--cpuset-mems", "cpuset.mems", resources.mems);
  set_pids(groups, resources);
  set_devices(groups, resources);
}

std::uint64_t count_oom_kills(const std::vector<CgroupGroup>& groups) {
  constexpr std::string_view kKey = "oom_kill ";
  const std::optional<Place> place = find_place(groups, "memory", "memory.oom_control", "memory.events");
  if (!place) return 0;
  const char* file = place->version == CgroupVersion::v1 ? "memory.oom_control" : "memory.events";
  for (const std::string& line : split(sys::read_all(sys::open_at(place->dir, file, O_RDONLY), 4096), '\n'))
    if (line.starts_with(kKey)) return parse_number(std::string_view(line).substr(kKey.size())).value_or(0);
  return 0;
}

}  // namespace lay::runner
