#include <optional>

#include "base/error.h"
#include "base/file_lock.h"
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
  const bool is_same =
      present && present->l3_schema == wanted.l3_schema && present->memory_schema == wanted.memory_schema;
  // The same ones are set again: an update that was killed may have set others, and not have noted them
  if (is_same && (!is_running || !wanted.class_id.empty() || !try_find_resctrl())) return std::nullopt;
  const std::string root = find_resctrl();  // also for a later start
  if (!is_running) return std::nullopt;
  if (!present)
    throw Error::make(Errc::invalid, "container '{}' runs in no class of resctrl of its own", config.name)
        .with_hint("update it while it is stopped: its next start makes one");
  return SchemataChange(root, class_folder(root, wanted, runtime_id(config)), wanted);
}

}  // namespace

void update_container(const ContainerStore& store, const std::string& name,
                      const std::function<void(Linux& limits)>& change) {
  const FileLock alone =
      FileLock::acquire(store.find(name).dir(), "update.lock", LockMode::exclusive);  // against other updates
  Container container = store.find(name);
  Linux changed = container.config().spec.linux_;
  change(changed);
  const Settled settled = settle(container);
  std::optional<SchemataChange> schemata;
  if (changed.intel_rdt)
    schemata = change_schemata(container.config(), *changed.intel_rdt, settled.first.has_value());
  Resources live = changed.resources;
  live.devices.clear();  // they stay
  if (settled.first) set_live_limits(cgroup_name_of(container.config()), live);
  container.save_limits(changed.resources, changed.intel_rdt);
  if (schemata) schemata->keep();
}

}  // namespace lay::runner
