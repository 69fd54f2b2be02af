#include <unistd.h>

#include <csignal>
#include <thread>
#include <utility>

#include "base/error.h"
#include "cgroup/freezer.h"
#include "cgroup/group.h"
#include "container/names.h"
#include "container/run_lock.h"
#include "delegate/delegated.h"
#include "process/first_process.h"
#include "process/process.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// What a shell would say of a process killed by SIGKILL.
constexpr int kKilled = 137;
constexpr useconds_t kPause = 2000;  // microseconds, between two looks

int stop_signal_of(const Container& container) {
  const std::string& name = container.config().stop_signal;
  return name.empty() ? SIGTERM : parse_signal(name);
}

/// What stands still receives no signal.
void let_go_on(const Container& container) {
  thaw_groups(find_groups(cgroup_name_of(container.config())));
}

/// Another runtime knows what its first process is: that of the host may be a sandbox or a machine. False
/// when it has ended.
bool send_to(const Container& container, const FirstProcess& process, int signal) {
  const ContainerState state = container.state();
  if (state.delegated.empty()) return send_signal(process.pidfd, signal);
  let_go_on(container);  // a sandbox that stands still passes nothing on
  try {
    runtime_of(container.config(), state)
        .run({"kill", delegated_id(container.config()), std::to_string(signal)});
  } catch (const Error&) {
    if (!wait_for_end(process.pidfd, std::chrono::milliseconds(0))) throw;
    return false;
  }
  return true;
}

/// Empty where a damaged container has no upper.
std::optional<FileLock> lock_upper(const Container& container) {
  try {
    return container.lock_upper(LockMode::shared);
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    return std::nullopt;
  }
}

/// All of it, before anything goes on: it may be captured just now. False when it has ended.
bool kill_at_once(const Container& container, const FirstProcess& process) {
  const bool was_there = send_signal(process.pidfd, SIGKILL);
  try {
    kill_groups(find_groups(cgroup_name_of(container.config())));
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;  // its supervisor clears up
  }
  let_go_on(container);
  return was_there;
}

/// Asks it to end, and waits for that as long. Nobody captures it meanwhile: it would stand still for what it
/// has of that time.
bool ends_when_asked(const Container& container, const FirstProcess& process, std::optional<int> signal,
                     std::chrono::seconds patience) {
  const std::optional<FileLock> upper = lock_upper(container);
  try {
    send_to(container, process, signal ? *signal : stop_signal_of(container));
  } catch (const Error&) {
    // Another runtime that is gone, or does not answer: SIGKILL needs none
  }
  let_go_on(container);
  return wait_for_end(process.pidfd, patience);
}

/// Until the supervisor of that process has cleared up. Somebody may start the container anew at once, and
/// then the lock is another supervisor's.
void wait_for_clearing(const Container& container, pid_t pid) {
  while (is_run_locked(container.dir())) {
    const ContainerState state = container.state();
    if (state.status == Status::running && state.pid != pid) return;
    ::usleep(kPause);
  }
}

}  // namespace

void signal_container(const Container& container, int signal) {
  const FirstProcess process = open_first_process(container);
  const auto deliver = [&] {
    if (signal == SIGKILL) return kill_at_once(container, process);
    const std::optional<FileLock> upper = lock_upper(container);
    const bool is_sent = send_to(container, process, signal);
    let_go_on(container);
    return is_sent;
  };
  if (!deliver()) throw Error::make(Errc::invalid, "container '{}' has just ended", container.config().name);
}

void stop_container(const Container& container, std::optional<std::chrono::seconds> timeout,
                    std::optional<int> signal) {
  auto process = try_open_first_process(container);
  while (!process &&
         is_run_locked(container.dir())) {  // it is just starting, or its supervisor is clearing up
    ::usleep(kPause);
    process = try_open_first_process(container);
  }
  if (!process) return;
  const auto patience = timeout.value_or(std::chrono::seconds(container.config().stop_timeout));
  if (patience.count() == 0 || !ends_when_asked(container, *process, signal, patience)) {
    kill_at_once(container, *process);
    wait_for_end(process->pidfd, std::nullopt);
  }
  wait_for_clearing(container, process->pid);
}

int wait_container(const Container& container) {
  const auto exit_code = wait_for_run_lock(open_run_lock(container.dir()));
  if (exit_code) return *exit_code;
  const ContainerState state = container.state();
  if (state.status == Status::created) container.check_is_there();
  if (state.status == Status::created)
    throw Error::make(Errc::invalid, "container '{}' has never been started", container.config().name)
        .with_hint(fmt::format("start it with 'lay start {}'", container.config().name));
  return state.status == Status::exited ? state.exit_code : kKilled;
}

ContainerState await_state(const Container& container,
                           const std::function<bool(const ContainerState& state)>& is_wanted,
                           std::chrono::milliseconds pause) {
  auto lock = open_run_lock(container.dir());  // has the exit code when the folder is gone
  for (;; std::this_thread::sleep_for(pause)) {
    ContainerState state = container.state();
    // Asked after the look: what is read of a folder that is being deleted means nothing
    if (!container.is_there()) break;
    if (is_wanted(state)) return state;
  }
  const auto exit_code = wait_for_run_lock(std::move(lock));
  const ContainerState end{.status = Status::exited, .exit_code = exit_code.value_or(0)};
  if (!exit_code || !is_wanted(end)) throw no_container(container.config().name);
  return end;
}

}  // namespace lay::runner
