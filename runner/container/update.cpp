#include <optional>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "cgroup/limits.h"
#include "cgroup/resctrl.h"
#include "container/settled.h"
#include "delegate/delegated.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// The schemata that a container is to have, in its class of resctrl if it runs there.
std::optional<SchemataChange> change_schemata(const ContainerConfig& config, const IntelRdt& wanted,
                                              bool is_running) {
  const std::optional<IntelRdt>& present = config.spec.linux_.intel_rdt;
  const std::string root = find_resctrl();  // also for a later start
  if (!is_running) return std::nullopt;
  if (!present)
    throw Error::make(Errc::invalid, "container '{}' runs in no class of resctrl of its own", config.name)
        .with_hint("update it while it is stopped: its next start makes one");
  const std::string folder = class_folder(root, wanted, runtime_id(config));
  if (!sys::try_stat_at(sys::cwd(), folder))
    throw Error::make(Errc::not_found, "class '{}' of resctrl is gone", printable(folder))
        .with_hint("start the container anew: that makes another");
  return SchemataChange(root, folder, wanted);
}

/// A limit that was taken away is none for the next start.
Resources without_lifted(Resources resources) {
  if (resources.memory_limit.value_or(0) < 0) {
    resources.memory_limit.reset();
    resources.memory_swap.reset();
  }
  if (resources.cpu_quota.value_or(0) < 0) resources.cpu_quota.reset();
  return resources;
}

}  // namespace

void update_container(const ContainerStore& store, const std::string& name,
                      const std::function<Schemata(Linux& limits)>& change) {
  const FileLock alone =
      FileLock::acquire(store.find(name).dir(), "update.lock", LockMode::exclusive);  // against other updates
  Container container = store.find(name);
  Linux changed = container.config().spec.linux_;
  const Schemata wish = change(changed);
  const Settled settled = settle(container);
  std::optional<SchemataChange> schemata;
  if (wish == Schemata::set && changed.intel_rdt)
    schemata = change_schemata(container.config(), *changed.intel_rdt, settled.first.has_value());
  Resources live = changed.resources;
  live.devices.clear();  // they stay
  if (settled.first) set_live_limits(cgroup_name_of(container.config()), live);
  container.save_limits(without_lifted(changed.resources), changed.intel_rdt);
  if (schemata) schemata->keep();
}

}  // namespace lay::runner
