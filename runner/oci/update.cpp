#include <algorithm>
#include <optional>

#include "base/error.h"
#include "cgroup/limits.h"
#include "cgroup/resctrl.h"
#include "oci/bundle.h"
#include "oci/store.h"
#include "spec/resources_json.h"

namespace lay::runner {

namespace {

/// In the class that was made for `container` alone when it was created.
SchemataChange change_schemata(const OciContainer& container, const IntelRdt& schemata) {
  const std::string root = find_resctrl();
  const std::vector<std::string>& folders = container.record().resctrl_folders;
  if (folders.empty())
    throw Error::make(Errc::invalid, "'{}' was created in no class of resctrl", container.id())
        .with_hint("create it with linux.intelRdt in its config.json");
  const std::string& folder = folders.front();
  if (std::ranges::count(container.record().resctrl_made, folder) == 0)
    throw Error::make(Errc::invalid, "'{}' is in class '{}' of resctrl, where others may be, too",
                      container.id(), printable(folder))
        .with_hint("write to its file 'schemata', which is for all of them");
  return SchemataChange(root, folder, schemata);
}

}  // namespace

void oci_update(const OciStore& store, const std::string& id, const Json& resources,
                const IntelRdt& schemata) {
  with_context(fmt::format("update '{}'", id), [&] {
    const LockedOci locked = lock_oci(store, id);
    const OciContainer& container = locked.container;
    if (container.settled_status() == OciStatus::stopped)
      throw Error::make(Errc::invalid, "container not running: '{}'", id);
    if (!container.record().has_cgroups)
      throw Error::make(Errc::unsupported, "'{}' was created without cgroups", id);
    Resources given = parse_resources(resources);
    if (!given.devices.empty()) add_default_device_rules(given.devices);
    std::optional<SchemataChange> changed;
    if (!schemata.l3_schema.empty() || !schemata.memory_schema.empty())
      changed = change_schemata(container, schemata);
    set_live_limits(cgroup_of(container.record()), given);
    if (changed) changed->keep();
  });
}

}  // namespace lay::runner
