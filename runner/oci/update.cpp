#include "base/error.h"
#include "cgroup/limits.h"
#include "oci/bundle.h"
#include "oci/store.h"
#include "spec/resources_json.h"

namespace lay::runner {

void oci_update(const OciStore& store, const std::string& id, const Json& resources) {
  with_context(fmt::format("update '{}'", id), [&] {
    const LockedOci locked = lock_oci(store, id);
    const OciContainer& container = locked.container;
    if (container.settled_status() == OciStatus::stopped)
      throw Error::make(Errc::invalid, "container not running: '{}'", id);
    if (!container.record().has_cgroups)
      throw Error::make(Errc::unsupported, "'{}' was created without cgroups", id);
    Resources given = parse_resources(resources);
    if (!given.devices.empty()) add_default_device_rules(given.devices);
    set_live_limits(cgroup_of(container.record()), given);
  });
}

}  // namespace lay::runner
