#include <csignal>

#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/cgroup.h"
#include "cgroup/freezer.h"
#include "oci/bundle.h"
#include "oci/first_process.h"
#include "oci/store.h"
#include "process/process.h"

namespace lay::runner {

namespace {

void signal_all(const OciContainer& container, int signal) {
  const std::vector<CgroupGroup> groups = groups_of(container);
  if (signal == SIGKILL) return kill_groups(groups);
  for (const pid_t pid : list_group_processes(groups))
    if (const auto pidfd = open_process(pid)) send_signal(*pidfd, signal);
}

/// Takes the first process, whatever its state, and all else in its groups, which go as well.
void end_processes(const OciContainer& container) {
  if (const auto first = open_first_process(container.record())) {
    send_signal(*first, SIGKILL);
    thaw_groups(groups_of(container));
    wait_for_end(*first, std::nullopt);
  }
  if (container.record().has_cgroups) remove_cgroups(cgroup_of(container.record()));
}

}  // namespace

void oci_kill(const OciStore& store, const std::string& id, int signal, OciRecipients recipients) {
  const OciContainer container = store.find(id);
  const auto first = open_first_process(container.record());
  if (recipients == OciRecipients::all && container.record().has_cgroups)
    return signal_all(container, signal);
  if (!first || !send_signal(*first, signal))
    throw Error::make(Errc::invalid, "container not running: '{}'", id);
  if (signal == SIGKILL) thaw_groups(groups_of(container));
}

void oci_remove(const OciStore& store, const std::string& id, OciRemoval removal) {
  std::optional<OciContainer> found;
  try {
    found.emplace(store.find(id));
  } catch (const Error& error) {
    if (removal == OciRemoval::forced && error.code() == Errc::not_found) return;
    throw;
  }
  const OciContainer& container = *found;
  with_context(fmt::format("delete '{}'", id), [&] {
    const FileLock lock = lock_oci(container);
    const OciStatus status = container.status();
    if (status != OciStatus::stopped && removal == OciRemoval::stopped)
      throw Error::make(Errc::busy, "cannot delete container {} that is not stopped: {}", id,
                        to_string(status))
          .with_hint("--force kills it first");
    end_processes(container);
    const std::string config = container.record().has_late_hooks ? config_of(container) : std::string();
    remove_oci_folder(store, id);
    if (!config.empty())
      run_poststop_hooks(parse_hooks(parse_json(config, "config.json")), container.record(), config);
  });
}

void oci_pause(const OciStore& store, const std::string& id) {
  const OciContainer container = store.find(id);
  const OciStatus status = container.status();
  if (status != OciStatus::running && status != OciStatus::created)
    throw Error::make(Errc::invalid, "container not running: '{}' is {}", id, to_string(status));
  freeze_groups(groups_of(container));
}

void oci_resume(const OciStore& store, const std::string& id) {
  const OciContainer container = store.find(id);
  if (container.status() != OciStatus::paused)
    throw Error::make(Errc::invalid, "container '{}' is not paused", id);
  thaw_groups(groups_of(container));
}

std::vector<pid_t> oci_processes(const OciStore& store, const std::string& id) {
  return list_group_processes(groups_of(store.find(id)));
}

}  // namespace lay::runner
