#include "cgroup/rare_limits.h"

#include "base/error.h"
#include "base/text.h"
#include "cgroup/place.h"

namespace lay::runner {

namespace {

void write_v1_only(const std::vector<CgroupGroup>& groups, const char* controller, const char* field,
                   const char* file, const std::string& text) {
  const Place place = require_v1(groups, controller, field, file);
  with_context(field, [&] { write_limit(place, file, text); });
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

void set_network_and_rdma(const std::vector<CgroupGroup>& groups, const Resources& resources) {
  if (resources.network_class)
    write_v1_only(groups, "net_cls", "network.classID", "net_cls.classid",
                  std::to_string(*resources.network_class));
  for (const LinkPriority& link : resources.link_priorities)
    write_v1_only(groups, "net_prio", "network.priorities", "net_prio.ifpriomap",
                  fmt::format("{} {}", link.name, link.priority));
  set_rdma(groups, resources);
}

void set_obsolete_memory(const std::vector<CgroupGroup>& groups, const ObsoleteMemory& memory) {
  const auto given_up = [](const char* field) {
    return Error::make(Errc::unsupported, "{}: kernels have given it up", field).with_hint("leave it out");
  };
  if (memory.kernel.value_or(0) > 0) throw given_up("memory.kernel");
  if (!memory.use_hierarchy.value_or(true)) throw given_up("memory.useHierarchy of false");
  if (memory.kernel_tcp.value_or(0) > 0)
    write_v1_only(groups, "memory", "memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes",
                  std::to_string(*memory.kernel_tcp));
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
