#include "base/error.h"
#include "base/file_lock.h"
#include "cgroup/group.h"
#include "cgroup/limit_journal.h"
#include "cgroup/limits.h"
#include "container/settled.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// All or nothing. Device rules and v2's controllers stay as they are.
void set_live_limits(const Container& container, Resources resources) {
  resources.devices.clear();
  LimitJournal journal;
  std::vector<CgroupGroup> groups = find_groups(cgroup_name_of(container.config()));
  for (CgroupGroup& group : groups) {
    enable_controllers(group, cgroup_name_of(container.config()), controllers_for(resources));
    group.journal = &journal;
  }
  try {
    set_limits(groups, resources);
  } catch (const Error&) {
    journal.restore();
    throw;
  }
}

}  // namespace

void update_container(const ContainerStore& store, const std::string& name,
                      const std::function<void(Resources& resources)>& change) {
  const FileLock alone =
      FileLock::acquire(store.find(name).dir(), "update.lock", LockMode::exclusive);  // against other updates
  Container container = store.find(name);
  Resources changed = container.config().spec.linux_.resources;
  change(changed);
  const Settled settled = settle(container);
  if (settled.first) set_live_limits(container, changed);
  container.save_resources(changed);
}

}  // namespace lay::runner
