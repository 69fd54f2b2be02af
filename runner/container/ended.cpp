#include "runner/ended.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>

#include "base/detach.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/pipe.h"
#include "base/syscalls.h"
#include "container/names.h"
#include "container/run_lock.h"
#include "process/first_process.h"
#include "process/process.h"

namespace lay::runner {

namespace {

/// The kernel kills a container's first process after the lock of its killed supervisor is free.
constexpr std::chrono::milliseconds kDying{200};

std::optional<UniqueFd> open_containers(const ContainerStore& store) {
  return sys::try_open_at(sys::cwd(), store.root() + "/containers", O_RDONLY | O_DIRECTORY);
}

/// One that cannot be looked at is not known to be left behind.
bool is_left_behind(const UniqueFd& containers, const std::string& folder) {
  if (folder.starts_with('.')) return false;  // being made or removed
  try {
    const auto info = sys::try_stat_at(containers, folder);
    if (!info || !S_ISDIR(info->st_mode) || (info->st_mode & kAutoRemoveMark) == 0) return false;
    const auto dir = sys::try_open_at(containers, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return dir && !is_run_locked(*dir);
  } catch (const Error&) {
    return false;
  }
}

bool is_any_left_behind(const ContainerStore& store) {
  const auto containers = open_containers(store);
  if (!containers) return false;
  const std::vector<std::string> folders = list_names(*containers);
  return std::any_of(folders.begin(), folders.end(),
                     [&](const std::string& folder) { return is_left_behind(*containers, folder); });
}

[[noreturn]] void sweep_and_exit(const ContainerStore& store) noexcept {
  try {
    sweep_ended(store);
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

/// What has outlived its killed supervisor runs until somebody ends it. What is dying of that is waited for.
bool lives_on(const Container& container) {
  if (const auto process = try_open_first_process(container)) wait_for_end(process->pidfd, kDying);
  return container.state().status == Status::running;
}

/// What cannot be removed stays: another was quicker, or it is damaged, which is for `rm -f`.
void remove_left_behind(const ContainerStore& store, const UniqueFd& containers, const std::string& id) {
  if (!is_left_behind(containers, id)) return;
  try {
    const Container container = store.find(id);
    // Another may have that id as its name, and be found when this one is gone meanwhile
    if (container.config().id != id || !container.config().auto_remove || lives_on(container)) return;
    store.remove(container);
  } catch (const Error&) {
  }
}

}  // namespace

void sweep_ended(const ContainerStore& store) {
  const auto containers = open_containers(store);
  if (!containers) return;
  for (const std::string& id : list_names(*containers)) remove_left_behind(store, *containers, id);
}

void sweep_ended_named(const ContainerStore& store, const std::string& name) {
  if (!is_container_name(name)) return;
  const auto containers = open_containers(store);
  if (!containers) return;
  // On the way of each start: one look where the name is free
  const auto id = sys::try_readlink_at(*containers, std::string(kNames) + "/" + name);
  if (id) remove_left_behind(store, *containers, *id);
}

void sweep_ended_aside(const ContainerStore& store, std::chrono::milliseconds patience) {
  if (!is_any_left_behind(store)) return;
  try {
    Pipe done = make_pipe();  // which ends with the process that sweeps
    if (detach(Descriptors::own)) sweep_and_exit(store);
    done.write.reset();
    pollfd entry{done.read.get(), POLLIN, 0};
    static_cast<void>(
        sys::retry_eintr([&] { return ::poll(&entry, 1, static_cast<int>(patience.count())); }));
  } catch (const Error&) {
    // No process to be had: the next sweep removes them
  }
}

}  // namespace lay::runner
