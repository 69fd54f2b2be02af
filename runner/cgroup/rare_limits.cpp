#include "cgroup/rare_limits.h"

#include "base/error.h"
#include "base/text.h"
#include "cgroup/place.h"

namespace lay::runner {

namespace {

/// A file that v2 has nothing like.
void write_v1_only(const std::vector<CgroupGroup>& groups, const char* controller, const char* field,
                   const char* file, const std::string& text) {
  const auto place = find_place(groups, controller, file, file);
  if (!place || place->version != CgroupVersion::v1)
    throw Error::make(Errc::unsupported, "{} needs the controller {} of cgroup v1 with the file {}", field,
                      controller, file)
        .with_hint(
            "this machine has not mounted it, or its kernel was built without it; leave the field out");
  with_context(field, [&] { write_limit(*place, file, text); });
}

void set_realtime(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (resources.cpu_realtime_period)
    write_v1_only(groups, "cpu", "cpu.realtimePeriod", "cpu.rt_period_us",
                  std::to_string(*resources.cpu_realtime_period));
  if (resources.cpu_realtime_runtime)
    write_v1_only(groups, "cpu", "cpu.realtimeRuntime", "cpu.rt_runtime_us",
                  std::to_string(*resources.cpu_realtime_runtime));
}

void set_rdma(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  for (const auto& [device, limit] : resources.rdma) {
    const Place place =
        require_place(groups, "rdma", "rdma '" + printable(device) + "'", "rdma.max", "rdma.max");
    std::string text = device;
    if (limit.handles) text += fmt::format(" hca_handle={}", *limit.handles);
    if (limit.objects) text += fmt::format(" hca_object={}", *limit.objects);
    with_context("rdma '" + printable(device) + "'", [&] { write_limit(place, "rdma.max", text); });
  }
}

}  // namespace

void set_rare_cpu(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  set_realtime(groups, resources);
  if (!resources.cpu_idle) return;
  const Place place = require_place(groups, "cpu", "cpu.idle", "cpu.idle", "cpu.idle");
  with_context("cpu.idle", [&] { write_limit(place, "cpu.idle", std::to_string(*resources.cpu_idle)); });
}

void set_cpu_burst(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.cpu_burst) return;
  const Place place = require_place(groups, "cpu", "cpu.burst", "cpu.cfs_burst_us", "cpu.max.burst");
  const char* file = place.version == CgroupVersion::v1 ? "cpu.cfs_burst_us" : "cpu.max.burst";
  try {
    write_limit(place, file, std::to_string(*resources.cpu_burst));
  } catch (Error& error) {
    error.add_context("cpu.burst");
    error.with_hint("a burst is at most the quota, and needs one");
    throw;
  }
}

void set_network_and_rdma(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (resources.network_class)
    write_v1_only(groups, "net_cls", "network.classID", "net_cls.classid",
                  std::to_string(*resources.network_class));
  for (const LinkPriority& link : resources.link_priorities)
    write_v1_only(groups, "net_prio", "network.priorities", "net_prio.ifpriomap",
                  fmt::format("{} {}", link.name, link.priority));
  set_rdma(groups, resources);
}

void check_memory_before_update(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (!resources.check_before_update || !resources.memory_limit || *resources.memory_limit < 0) return;
  const auto place = find_place(groups, "memory", "memory.usage_in_bytes", "memory.current");
  if (!place) return;
  const bool is_v1 = place->version == CgroupVersion::v1;
  const auto used =
      parse_number(read_group_file(place->dir, is_v1 ? "memory.usage_in_bytes" : "memory.current"));
  if (used.value_or(0) > static_cast<std::uint64_t>(*resources.memory_limit))
    throw Error::make(Errc::invalid, "the container uses {} bytes of memory, more than the new limit {}",
                      *used, *resources.memory_limit)
        .with_hint("memory.checkBeforeUpdate demands to refuse it");
}

std::vector<std::string> rare_controllers(const Resources& resources) {
  if (resources.rdma.empty()) return {};
  return {"rdma"};
}

}  // namespace lay::runner
