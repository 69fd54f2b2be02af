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
#include "cgroup/block_limits.h"
#include "cgroup/cpu_limits.h"
#include "cgroup/device_filter.h"
#include "cgroup/device_rules.h"
#include "cgroup/limit_journal.h"
#include "cgroup/place.h"
#include "cgroup/rare_limits.h"

namespace lay::runner {

namespace {

/// A number, or "max".
std::optional<std::int64_t> present_limit(const Place& place, const char* file) {
  const auto value = parse_number(read_group_file(place.dir, file));
  return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

/// v2 counts swap alone, the runtime-spec and v1 memory and swap together. Where only the sum is given, the
/// memory stays as it is.
std::string swap_text(const Resources& resources, const Place& place) {
  const std::int64_t total = *resources.memory_swap;
  if (total < 0 || place.version == CgroupVersion::v1) return limit_text(total, place.version);
  const std::optional<std::int64_t> limit =
      resources.memory_limit ? resources.memory_limit : present_limit(place, "memory.max");
  if (limit.value_or(-1) < 0)
    throw Error(Errc::invalid, "--memory-swap needs a limit of memory: cgroup v2 counts swap by itself");
  const std::int64_t memory = *limit;
  if (total < memory)
    throw Error::make(Errc::invalid, "--memory-swap {} is less than --memory {}", total, memory);
  return std::to_string(total - memory);
}

void write_memory(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  constexpr const char* kV1Swap = "memory.memsw.limit_in_bytes";
  if (!resources.memory_limit && !resources.memory_swap) return;
  const Place place = require_place(groups, "memory", "--memory", "memory.limit_in_bytes", "memory.max");
  const bool is_v1 = place.version == CgroupVersion::v1;
  const char* const memory_file = is_v1 ? "memory.limit_in_bytes" : "memory.max";
  const char* const swap_file = is_v1 ? kV1Swap : "memory.swap.max";
  const bool has_swap = find_place(groups, "memory", kV1Swap, "memory.swap.max").has_value();
  const std::string memory = limit_text(resources.memory_limit.value_or(-1), place.version);
  if (!resources.memory_swap || !has_swap) {
    if (!resources.memory_limit) return;
    if (is_v1 && has_swap && *resources.memory_limit < 0)  // the sum may not be less
      return write_together(place, {{memory_file, memory}, {swap_file, memory}});
    return write_limit(place, memory_file, memory);
  }
  const std::string swap = swap_text(resources, place);
  if (!resources.memory_limit) return write_limit(place, swap_file, swap);
  // v1's sum of memory and swap is never less than the memory, before and after each write.
  write_together(place, {{memory_file, memory}, {swap_file, swap}});
}

/// v1 refuses what is less than cannot be taken away.
void set_memory(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  try {
    write_memory(groups, resources);
  } catch (Error& error) {
    if (error.error_number() != EBUSY) throw;
    error.add_context(resources.memory_limit ? fmt::format("--memory {}", *resources.memory_limit)
                                             : fmt::format("--memory-swap {}", *resources.memory_swap));
    error.with_hint(
        "the container holds more than that, as 'lay stats' shows; leave it more, or stop it first");
    throw;
  }
}

void set_memory_reservation(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.memory_reservation) return;
  const Place place =
      require_place(groups, "memory", "--memory-reservation", "memory.soft_limit_in_bytes", "memory.low");
  write_limit(place, place.version == CgroupVersion::v1 ? "memory.soft_limit_in_bytes" : "memory.low",
              limit_text(*resources.memory_reservation, place.version));
}

/// v2 has neither: what is asked for cannot be had there.
void set_v1_memory(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  const auto set = [&](const char* flag, const char* file, const std::string& value) {
    const Place place = require_place(groups, "memory", flag, "memory.limit_in_bytes", "memory.max");
    if (place.version == CgroupVersion::v2)
      throw Error::make(Errc::unsupported,
                        "{} needs the memory controller of cgroup v1, and this one is v2's", flag)
          .with_hint("leave it out");
    write_limit(place, file, value);
  };
  if (resources.memory_swappiness)
    set("--memory-swappiness", "memory.swappiness", std::to_string(*resources.memory_swappiness));
  if (!resources.disable_oom_killer) return;
  if (*resources.disable_oom_killer)
    set("--oom-kill-disable", "memory.oom_control", "1");
  else if (const auto place = find_place(groups, "memory", "memory.oom_control", "memory.oom_control"))
    write_limit(*place, "memory.oom_control", "0");
}

void set_hugepages(const std::vector<CgroupGroup>& groups, const std::vector<HugepageLimit>& limits) {
  for (const HugepageLimit& limit : limits) {
    const std::string v1 = fmt::format("hugetlb.{}.limit_in_bytes", limit.page_size);
    const std::string v2 = fmt::format("hugetlb.{}.max", limit.page_size);
    const Place place =
        require_place(groups, "hugetlb", "--hugetlb-limit " + printable(limit.page_size), v1, v2);
    const bool is_v1 = place.version == CgroupVersion::v1;
    const std::string value =
        limit_text(limit.limit > INT64_MAX ? -1 : static_cast<std::int64_t>(limit.limit), place.version);
    // Reserved pages too, as runc does: a mapping then fails, instead of a later touch that kills.
    const std::string reserved =
        fmt::format("hugetlb.{}.rsvd.{}", limit.page_size, is_v1 ? "limit_in_bytes" : "max");
    if (sys::try_stat_at(place.dir, reserved)) write_limit(place, reserved, value);
    write_limit(place, is_v1 ? v1 : v2, value);
  }
}

/// Of cgroup-core's files those that neither move nor stop processes: a container that is frozen by one would
/// never get as far as its command.
bool is_free_core_file(const std::string& name) {
  return name.starts_with("cgroup.max.") || name == "cgroup.pressure";
}

/// Files that are lay's own to write, or a way around what it sets.
void check_free_file(const std::string& name) {
  const std::string controller = name.substr(0, name.find('.'));
  const bool is_name =
      name.find('.') != std::string::npos && name.find('/') == std::string::npos && !controller.empty();
  if (!is_name)
    throw Error::make(Errc::invalid, "--cgroup-conf '{}' names no file of a cgroup", printable(name))
        .with_hint("--cgroup-conf memory.high=256m");
  if (controller == "devices" || controller == "freezer" ||
      (controller == "cgroup" && !is_free_core_file(name)))
    throw Error::make(Errc::invalid, "--cgroup-conf '{}' is lay's own to write", printable(name))
        .with_hint("--device, 'lay pause' and the limits of 'lay run' are the way");
}

/// A file with a line for each device takes one with each write.
std::vector<std::string> lines_of(const std::string& value) {
  std::vector<std::string> lines = split(value, '\n');
  std::erase(lines, "");
  if (lines.empty()) lines.emplace_back();
  return lines;
}

void set_unified(const std::vector<CgroupGroup>& groups, const std::map<std::string, std::string>& files) {
  for (const auto& [name, value] : files) {
    check_free_file(name);
    const std::string flag = fmt::format("--cgroup-conf {}", printable(name));
    const std::string controller = name.substr(0, name.find('.'));
    const auto place =
        controller == "cgroup" ? find_v2(groups, name) : find_place(groups, controller, name, name);
    if (!place)
      throw Error::make(Errc::unsupported, "{}: no cgroup of this machine has such a file", flag)
          .with_hint(
              "its controller has to be mounted and enabled (see cgroups(7)); names differ between v1 and "
              "v2");
    try {
      for (const std::string& line : lines_of(value)) write_limit(*place, name, line);
    } catch (Error& error) {
      error.add_context(flag);
      error.with_hint("the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst say what it takes");
      throw;
    }
  }
}

void set_cpuset(const std::vector<CgroupGroup>& groups, const char* flag, const char* file,
                const std::string& list) {
  if (list.empty()) return;
  const Place place = require_place(groups, "cpuset", flag, file, file);
  try {
    write_limit(place, file, list);
  } catch (Error& error) {
    error.add_context(fmt::format("{} '{}'", flag, printable(list)));
    error.with_hint("lscpu shows the processors and memory nodes of this machine");
    throw;
  }
}

void set_pids(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.pids_limit) return;
  if (*resources.pids_limit <= 0 && !find_place(groups, "pids", "pids.max", "pids.max")) return;
  const Place place = require_place(groups, "pids", "--pids-limit", "pids.max", "pids.max");
  write_limit(place, "pids.max",
              limit_text(*resources.pids_limit > 0 ? *resources.pids_limit : -1, CgroupVersion::v2));
}

/// In v2 all groups of a container are one. Without any group nothing can be kept from devices.
void filter_devices(const std::vector<CgroupGroup>& groups, const std::vector<DeviceRule>& rules) {
  if (rules.empty()) return;
  for (const CgroupGroup& group : groups)
    if (group.hierarchy.version == CgroupVersion::v2) return replace_device_filters(group.dir, rules);
  throw Error(Errc::unsupported, "this machine cannot hold containers to device rules")
      .with_hint("that takes cgroup v2, or the devices controller of v1 (see cgroups(7))");
}

void set_devices(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  const std::vector<DeviceRule> rules = normal_device_rules(resources.devices);
  const std::optional<Place> place = find_place(groups, "devices", "devices.allow", "devices.allow");
  if (!place) return filter_devices(groups, rules);
  for (auto rule = rules.begin(); rule != rules.end();) {
    const char* const file = rule->allow ? "devices.allow" : "devices.deny";
    std::vector<std::string> lines;
    for (const bool is_allowing = rule->allow; rule != rules.end() && rule->allow == is_allowing; ++rule)
      lines.push_back(format_device_rule(*rule));
    write_group_lines(place->dir, file, lines);
  }
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
  check_memory_before_update(groups, resources);
  set_memory(groups, resources);
  set_memory_reservation(groups, resources);
  set_cpu_limits(groups, resources);
  set_cpuset(groups, "--cpuset-cpus", "cpuset.cpus", resources.cpus);
  set_cpuset(groups, "--cpuset-mems", "cpuset.mems", resources.mems);
  set_pids(groups, resources);
  set_v1_memory(groups, resources);
  set_block_io(groups, resources.block_io);
  set_hugepages(groups, resources.hugepages);
  set_obsolete_memory(groups, resources.obsolete_memory);
  set_network_and_rdma(groups, resources);
  set_unified(groups, resources.unified);
  set_devices(groups, resources);  // last, for what was in force is not written back
}

bool may_be_refused(const Resources& resources) {
  constexpr std::int64_t kMostProcesses = 1 << 22;  // PID_MAX_LIMIT, linux/threads.h
  normal_device_rules(resources.devices);
  Resources rest = resources;
  rest.devices.clear();
  rest.pids_limit.reset();
  const auto has_v1 = [](const char* controller) {
    return std::ranges::any_of(find_cgroup_hierarchies(), [&](const CgroupHierarchy& hierarchy) {
      return hierarchy.version == CgroupVersion::v1 && hierarchy.has(controller);
    });
  };
  return rest != Resources{} || resources.pids_limit.value_or(0) > kMostProcesses || !has_v1("pids") ||
         !has_v1("devices");
}

void set_live_limits(const CgroupName& name, const Resources& resources) {
  LimitJournal journal;
  std::vector<CgroupGroup> groups = find_groups(name);
  for (CgroupGroup& group : groups) {
    enable_controllers(group, name, controllers_for(resources));
    group.journal = &journal;
  }
  try {
    set_limits(groups, resources);
  } catch (const Error&) {
    journal.restore();
    throw;
  }
}

std::vector<std::string> controllers_for(const Resources& resources) {
  std::vector<std::string> controllers{"memory", "cpu", "cpuset", "pids", "io"};
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(controllers, name) == controllers.end()) controllers.push_back(name);
  };
  if (!resources.hugepages.empty()) add("hugetlb");
  for (const std::string& name : rare_controllers(resources)) add(name);
  for (const auto& [name, value] : resources.unified) add(name.substr(0, name.find('.')));
  return controllers;
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
