#include "base/error.h"
#include "base/file_lock.h"
#include "cgroup/limits.h"
#include "container/settled.h"
#include "runner/lifecycle.h"

namespace lay::runner {

void update_container(const ContainerStore& store, const std::string& name,
                      const std::function<void(Resources& resources)>& change) {
  const FileLock alone =
      FileLock::acquire(store.find(name).dir(), "update.lock", LockMode::exclusive);  // against other updates
  Container container = store.find(name);
  Resources changed = container.config().spec.linux_.resources;
  change(changed);
  const Settled settled = settle(container);
  Resources live = changed;
  live.devices.clear();  // they stay
  if (settled.first) set_live_limits(cgroup_name_of(container.config()), live);
  container.save_resources(changed);
}

}  // namespace lay::runner
