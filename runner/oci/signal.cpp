#include <csignal>

#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/cgroup.h"
#include "cgroup/freezer.h"
#include "cgroup/resctrl.h"
#include "oci/bundle.h"
#include "oci/first_process.h"
#include "oci/joined_root.h"
#include "oci/store.h"
#include "process/listing.h"
#include "process/process.h"

namespace lay::runner {

namespace {

void require_groups(const OciContainer& container) {
  if (!container.record().has_cgroups)
    throw Error::make(Errc::unsupported, "'{}' was created without cgroups, by which its processes are told",
                      container.id());
}

/// False where there is no freezer, or a process waits for a disk.
bool try_freeze(const std::vector<CgroupGroup>& groups) {
  try {
    freeze_groups(groups);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void signal_all(const OciContainer& container, int signal) {
  const std::vector<CgroupGroup> groups = groups_of(container);
  if (signal == SIGKILL) return kill_groups(groups);
  // Frozen, nothing is forked meanwhile, and no number goes to a stranger between look and signal
  const bool is_frozen_here = container.status() != OciStatus::paused && try_freeze(groups);
  try {
    for (const pid_t pid : list_group_processes(groups))
      if (const auto pidfd = open_process(pid)) send_signal(*pidfd, signal);
  } catch (...) {
    if (is_frozen_here) thaw_groups(groups);
    throw;
  }
  if (is_frozen_here) thaw_groups(groups);
}

/// One that is still being made holds the container's lock; in a frozen group it would never let go of it.
void kill_first(const OciStore& store, const std::string& id) {
  if (const auto first = open_first_process(store.find(id).record())) send_signal(*first, SIGKILL);
}

/// An engine may have given its groups to another container since it ended.
bool are_anothers_now(const OciStore& store, const OciContainer& container) {
  if (list_group_processes(groups_of(container)).empty()) return false;
  for (const OciContainer& other : store.list())
    if (other.id() != container.id() && other.record().has_cgroups &&
        cgroup_of(other.record()) == cgroup_of(container.record()) && open_first_process(other.record()))
      return true;
  return false;
}

/// Takes the first process, whatever its state, and all else in its groups, which go as well.
void end_processes(const OciStore& store, const OciContainer& container) {
  if (const auto first = open_first_process(container.record())) {
    send_signal(*first, SIGKILL);
    thaw_groups(groups_of(container));
    wait_for_end(*first, std::nullopt);
  }
  if (container.record().has_cgroups && !are_anothers_now(store, container))
    remove_cgroups(cgroup_of(container.record()));
}

void remove_locked(const OciStore& store, const OciContainer& container, OciRemoval removal,
                   const OciWarn& warn) {
  const std::string& id = container.id();
  const OciStatus status = container.settled_status();
  if (status != OciStatus::stopped && removal == OciRemoval::stopped)
    throw Error::make(Errc::busy, "cannot delete container {} that is not stopped: {}", id, to_string(status))
        .with_hint("--force kills it first");
  end_processes(store, container);
  const std::string config = container.record().has_late_hooks ? config_of(container) : std::string();
  remove_resctrl_folders(container.record().resctrl_made);
  remove_oci_folder(store, id);
  if (!config.empty())
    run_poststop_hooks(parse_hooks(parse_json(config, "config.json")), container.record(), warn);
  unmount_joined_root(container.record());  // last: what fails there leaves no container behind
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

void oci_remove(const OciStore& store, const std::string& id, OciRemoval removal, const OciWarn& warn) {
  std::optional<LockedOci> locked;
  try {
    if (removal == OciRemoval::forced) kill_first(store, id);
    locked.emplace(lock_oci(store, id));
  } catch (const Error& error) {
    if (removal == OciRemoval::forced && error.code() == Errc::not_found) return;
    throw;
  }
  with_context(fmt::format("delete '{}'", id),
               [&] { remove_locked(store, locked->container, removal, warn); });
}

void oci_pause(const OciStore& store, const std::string& id) {
  const LockedOci locked = lock_oci(store, id);
  const OciStatus status = locked.container.settled_status();
  if (status != OciStatus::running && status != OciStatus::created)
    throw Error::make(Errc::invalid, "container not running: '{}' is {}", id, to_string(status));
  if (!locked.container.record().has_cgroups)
    throw Error::make(Errc::unsupported, "'{}' was created without cgroups and cannot be paused", id);
  freeze_groups(groups_of(locked.container));
}

void oci_resume(const OciStore& store, const std::string& id) {
  const LockedOci locked = lock_oci(store, id);
  if (locked.container.settled_status() != OciStatus::paused)
    throw Error::make(Errc::invalid, "container '{}' is not paused", id);
  thaw_groups(groups_of(locked.container));
}

std::vector<ProcessInfo> oci_list_processes(const OciStore& store, const std::string& id) {
  std::vector<ProcessInfo> processes;
  const OciContainer container = store.find(id);
  require_groups(container);
  for (const pid_t pid : list_group_processes(groups_of(container))) {
    auto process = read_process(pid, 0, cgroup_of(container.record()).id);
    if (!process) continue;
    process->parent = process->host_parent;
    processes.push_back(std::move(*process));
  }
  return processes;
}

std::vector<pid_t> oci_processes(const OciStore& store, const std::string& id) {
  const OciContainer container = store.find(id);
  require_groups(container);
  return list_group_processes(groups_of(container));
}

}  // namespace lay::runner
