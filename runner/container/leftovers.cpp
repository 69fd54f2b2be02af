#include "container/leftovers.h"

#include <csignal>

#include "cgroup/cgroup.h"
#include "cgroup/freezer.h"
#include "cgroup/resctrl.h"
#include "delegate/delegated.h"
#include "process/first_process.h"
#include "process/process.h"

namespace lay::runner {

namespace {

void remove_own_class(const ContainerConfig& config) {
  const std::optional<IntelRdt>& rdt = config.spec.linux_.intel_rdt;
  if (const auto root = rdt ? try_find_resctrl() : std::nullopt)
    remove_resctrl_folders(ResctrlGroup::own_folders(*root, *rdt, runtime_id(config)));
}

}  // namespace

void clear_leftovers(const std::string& run, const Container& container) {
  const ContainerConfig& config = container.config();
  if (const auto process = try_open_first_process(container)) {  // it holds the upper until it has ended
    send_signal(process->pidfd, SIGKILL);
    thaw_groups(find_groups(cgroup_name_of(config)));
    wait_for_end(process->pidfd, std::nullopt);
  }
  try {
    if (!config.runtime.is_own()) clear_delegated(run, config);
  } catch (const Error&) {
    remove_cgroups(cgroup_name_of(config));  // nothing runs on, whatever the other runtime can do
    throw;
  }
  remove_cgroups(cgroup_name_of(config));
  remove_own_class(config);
}

}  // namespace lay::runner
