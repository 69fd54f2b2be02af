#include <algorithm>

#include "base/error.h"
#include "base/file_lock.h"
#include "cgroup/group.h"
#include "cgroup/limits.h"
#include "container/settled.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// The kernel's values of limits that were not there before: they lift those that `changed` has set.
Resources with_lifted(Resources old, const Resources& changed) {
  const auto lift = [](auto& before, const auto& after, auto unlimited) {
    if (after && !before) before = unlimited;
  };
  lift(old.memory_limit, changed.memory_limit, -1);
  lift(old.memory_swap, changed.memory_swap, -1);
  lift(old.memory_reservation, changed.memory_reservation, -1);
  lift(old.cpu_quota, changed.cpu_quota, -1);
  lift(old.cpu_shares, changed.cpu_shares, kDefaultShares);
  lift(old.pids_limit, changed.pids_limit, -1);
  for (const auto list :
       {&BlockIo::read_bytes, &BlockIo::write_bytes, &BlockIo::read_operations, &BlockIo::write_operations})
    for (const BlockDeviceValue& device : changed.block_io.*list) {
      const auto same = [&](const BlockDeviceValue& each) {
        return each.major == device.major && each.minor == device.minor;
      };
      auto& before = old.block_io.*list;
      if (std::ranges::none_of(before, same))
        before.push_back({.major = device.major, .minor = device.minor, .value = 0});
    }
  return old;
}

void set_live_limits(const Container& container, Resources resources) {
  resources.devices.clear();
  const std::vector<CgroupGroup> groups = find_groups(cgroup_name_of(container.config()));
  for (const CgroupGroup& group : groups)
    enable_controllers(group, cgroup_name_of(container.config()), controllers_for(resources));
  set_limits(groups, resources);
}

/// What of `changed` was set before something else of it was refused is taken back; why it was refused is
/// what the user wants to know, not that this did not work either.
void take_back(const Container& container, const Resources& changed) {
  try {
    set_live_limits(container, with_lifted(container.config().spec.linux_.resources, changed));
  } catch (const Error&) {
    return;
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
  if (settled.first) {
    try {
      set_live_limits(container, changed);
    } catch (const Error&) {
      take_back(container, changed);
      throw;
    }
  }
  container.save_resources(changed);
}

}  // namespace lay::runner
