#include "base/error.h"
#include "cgroup_group.h"
#include "cgroup_limits.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// A limit that was not there before is lifted by -1.
Resources with_lifted(Resources old, const Resources& changed) {
  if (changed.memory_limit && !old.memory_limit) old.memory_limit = -1;
  if (changed.memory_swap && !old.memory_swap) old.memory_swap = -1;
  if (changed.cpu_quota && !old.cpu_quota) old.cpu_quota = -1;
  if (changed.pids_limit && !old.pids_limit) old.pids_limit = -1;
  return old;
}

void set_live_limits(const Container& container, Resources resources) {
  resources.devices.clear();
  set_limits(find_groups(container.config().id), resources);
}

}  // namespace

void update_container(Container& container, const Resources& resources) {
  if (container.state().status == Status::running) {
    try {
      set_live_limits(container, resources);
    } catch (const Error&) {
      set_live_limits(container, with_lifted(container.config().spec.linux_.resources, resources));
      throw;
    }
  }
  container.save_resources(resources);
}

}  // namespace lay::runner
