#include "process/container_ids.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

constexpr const char* kPingGroups = "net.ipv4.ping_group_range";

/// The last id of the part of the map that begins with 0.
std::uint32_t last_of_first_part(const std::vector<IdMapping>& map) {
  for (const IdMapping& extent : map)
    if (extent.container_id == 0) return extent.size - 1;
  return 0;
}

}  // namespace

std::optional<ContainerIds> acquire_ids(const std::string& run, const ContainerConfig& config,
                                        const NamespacePlan& namespaces) {
  const Linux& spec = config.spec.linux_;
  if (namespaces.user)
    return ContainerIds{.map = read_id_map(sys::dup_fd(namespaces.user)), .leases = {}, .are_new = false};
  if ((namespaces.clone_flags & CLONE_NEWUSER) == 0) return std::nullopt;
  std::vector<IdLease> leases;
  std::vector<IdMapping> uids = spec.uid_mappings;
  std::vector<IdMapping> gids = spec.gid_mappings;
  if (spec.auto_ids) {
    leases.push_back(IdLease::take(run, *spec.auto_ids, config.id));
    uids = {{.container_id = 0, .host_id = leases.front().range().first, .size = *spec.auto_ids}};
    gids = uids;
  } else {
    check_id_maps(spec);
    std::vector<IdMapping> both = uids;
    both.insert(both.end(), gids.begin(), gids.end());
    leases = IdLease::keep(run, both, config.id);
  }
  return ContainerIds{.map = make_id_map(std::move(uids), std::move(gids)), .leases = std::move(leases)};
}

void fit_sysctls(Spec& spec, const IdMaps& maps) {
  const auto entry = spec.linux_.sysctl.find(kPingGroups);
  if (entry != spec.linux_.sysctl.end() && entry->second == "0 2147483647")
    entry->second = fmt::format("0 {}", last_of_first_part(maps.gids));
}

}  // namespace lay::runner
