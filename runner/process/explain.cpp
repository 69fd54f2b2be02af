#include "runner/explain.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/syscalls.h"
#include "container/network_fit.h"
#include "process/container_ids.h"
#include "process/first_process.h"
#include "process/namespaces.h"
#include "process/start_plan.h"
#include "rootfs/mount_options.h"
#include "rootfs/mounts.h"
#include "security/user_lookup.h"

namespace lay::runner {

namespace {

std::string path_of(const ContainerStore& store, const ContainerConfig& config, NamespaceType type,
                    const std::string& id) {
  const Container other = store.find(id);
  check_joinable(config, other.config(), type);
  return namespace_path(open_first_process(other).pid, type);
}

/// Empty for one that is the container's own.
std::string joined_path(const ContainerStore& store, const ContainerConfig& config, const Namespace& entry) {
  if (const auto joined = config.joined.find(entry.type); joined != config.joined.end())
    return path_of(store, config, entry.type, joined->second);
  if (!entry.path.empty() || entry.type != NamespaceType::network) return entry.path;
  if (config.network.mode == NetworkMode::container)
    return path_of(store, config, entry.type, config.network.container);
  return config.network.mode == NetworkMode::path ? config.network.path : std::string();
}

/// Where the ids of the host are chosen by the start, those inside are known.
std::optional<IdMaps> maps_inside(const Spec& spec) {
  const Linux& part = spec.linux_;
  const auto user = std::ranges::find(part.namespaces, NamespaceType::user,
                                      [](const Namespace& entry) { return entry.type; });
  if (user == part.namespaces.end()) return std::nullopt;
  if (!user->path.empty()) return read_id_map(open_namespace(user->path, NamespaceType::user));
  if (!part.auto_ids) return IdMaps{part.uid_mappings, part.gid_mappings};
  const std::vector<IdMapping> all{{.container_id = 0, .host_id = 0, .size = *part.auto_ids}};
  return IdMaps{all, all};
}

/// Whether those of the image are what the container has.
bool shows_accounts_of_image(const Spec& spec) {
  return std::ranges::none_of(spec.mounts, [](const Mount& mount) {
    const std::string target = normalize_path(mount.destination);
    return std::ranges::any_of(std::array{"/etc/passwd", "/etc/group"}, [&](const char* file) {
      return target == file || lies_beneath(file, target);
    });
  });
}

void require_sources(const Spec& spec) {
  for (const Mount& mount : spec.mounts)
    if (mount.type == "bind" && !sys::try_stat_at(sys::cwd(), mount.source)) throw no_volume_source(mount);
}

}  // namespace

Spec explain_start(const ContainerStore& store, ContainerConfig config, const UniqueFd* root) {
  fit_to_network(config);
  require_sources(config.spec);
  Spec spec = final_spec(config);
  for (std::size_t i = 0; i < spec.linux_.namespaces.size(); ++i)
    spec.linux_.namespaces[i].path = joined_path(store, config, config.spec.linux_.namespaces[i]);
  if (const auto maps = maps_inside(spec)) fit_sysctls(spec, *maps);
  if (root != nullptr && shows_accounts_of_image(spec))
    settle_user(spec.process, look_up_user(spec.process.user, *root, spec.linux_.masked_paths));
  return spec;
}

}  // namespace lay::runner
