#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include "base/error.h"
#include "cgroup/freezer.h"
#include "cgroup/group.h"
#include "container/leftovers.h"
#include "container/names.h"
#include "container/run_lock.h"
#include "container/settled.h"
#include "delegate/delegated.h"
#include "process/first_process.h"
#include "process/process.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// What a shell would say of a process killed by SIGKILL.
constexpr int kKilled = 137;
constexpr useconds_t kPause = 2000;  // microseconds, between two looks
constexpr useconds_t kLongPause = 50000;

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
bool send_to(const Container& container, const UniqueFd& first_process, int signal) {
  const ContainerState state = container.state();
  if (state.delegated.empty()) return send_signal(first_process, signal);
  let_go_on(container);  // a sandbox that stands still passes nothing on
  try {
    runtime_of(container.config(), state)
        .run({"kill", delegated_id(container.config()), std::to_string(signal)});
  } catch (const Error&) {
    if (!wait_for_end(first_process, std::chrono::milliseconds(0))) throw;
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
bool kill_at_once(const Container& container, const UniqueFd& first_process) {
  const bool was_there = send_signal(first_process, SIGKILL);
  try {
    kill_groups(find_groups(cgroup_name_of(container.config())));
  } catch (const Error& error) {
    if (!is_group_gone(error)) throw;  // its supervisor clears up
  }
  let_go_on(container);
  return was_there;
}

/// What a supervisor that was killed has left. With the container's lock: nobody starts or removes it
/// meanwhile, and it reads as running as long as there is something of it.
void clear_abandoned(const std::string& run, const Container& container) {
  for (; container.state().is_abandoned; ::usleep(kPause))
    if (const auto lock = container.try_lock()) return clear_leftovers(run, container);
}

/// Of one without supervisor the others may live on where the first process is gone.
bool kill_abandoned(const Container& container) {
  const ContainerState state = container.state();
  if (!state.is_abandoned || state.status != Status::running) return false;
  kill_groups(find_groups(cgroup_name_of(container.config())));
  return true;
}

/// Others may live on where the first process is gone, or was never their parent.
void wait_for_abandoned(const Container& container) {
  for (;;) {
    const ContainerState state = container.state();
    if (!state.is_abandoned || state.status != Status::running) return;
    if (const auto process = try_open_first_process(container))
      wait_for_end(process->pidfd, std::nullopt);
    else
      ::usleep(kLongPause);
  }
}

using SteadyTime = std::chrono::steady_clock::time_point;

/// Until the supervisor of that process has cleared up; false when that takes longer. Somebody may start the
/// container anew at once, and then the lock is another supervisor's.
bool wait_for_clearing(const Container& container, pid_t pid, SteadyTime deadline = SteadyTime::max()) {
  for (; is_run_locked(container.dir()); ::usleep(kPause)) {
    const ContainerState state = container.state();
    if (state.status == Status::running && state.pid != pid) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

}  // namespace

void signal_container(const Container& container, int signal) {
  if (signal == SIGKILL && !try_open_first_process(container) && kill_abandoned(container)) return;
  const FirstProcess process = open_first_process(container);
  const auto deliver = [&] {
    if (signal == SIGKILL) return kill_at_once(container, process.pidfd);
    const std::optional<FileLock> upper = lock_upper(container);
    const bool is_sent = send_to(container, process.pidfd, signal);
    let_go_on(container);
    return is_sent;
  };
  if (!deliver()) throw Error::make(Errc::invalid, "container '{}' has just ended", container.config().name);
}

Stopping::Stopping(const ContainerStore& store, const Container& container,
                   std::optional<std::chrono::seconds> timeout, std::optional<int> signal)
    : run_(store.run()),
      container_(container),
      timeout_(timeout.value_or(std::chrono::seconds(container.config().stop_timeout))),
      signal_(signal) {
  try_ask();
}

/// False when it has no first process. Nobody captures it meanwhile: it would stand still for what it has of
/// that time.
bool Stopping::try_ask() {
  auto process = try_open_first_process(container_);
  if (!process) return false;
  pid_ = process->pid;
  pidfd_ = std::move(process->pidfd);
  deadline_ = std::chrono::steady_clock::now() + timeout_;
  if (timeout_.count() == 0) return true;
  upper_ = lock_upper(container_);
  try {
    send_to(container_, pidfd_, signal_ ? *signal_ : stop_signal_of(container_));
  } catch (const Error&) {
    // Another runtime that is gone, or does not answer: SIGKILL needs none
  }
  let_go_on(container_);
  deadline_ = std::chrono::steady_clock::now() + timeout_;
  return true;
}

void Stopping::await_end() {
  const auto rest =
      std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
  const bool has_ended = wait_for_end(pidfd_, std::max(rest, std::chrono::milliseconds(0)));
  upper_.reset();
  if (!has_ended) {
    kill_at_once(container_, pidfd_);
    wait_for_end(pidfd_, std::nullopt);
  }
  wait_for_clearing(container_, pid_);
}

/// Its run lock is held here alone, not while others are asked and waited for: they may be the same one, or
/// be stopped by somebody else in another order.
void Stopping::finish() {
  while (!pidfd_ && !try_ask() && is_run_locked(container_.dir()))  // it is starting or being cleared up
    ::usleep(kPause);
  if (pidfd_) await_end();
  clear_abandoned(run_, container_);
}

bool Stopping::has_ended_within(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  upper_.reset();
  if (pidfd_ && !wait_for_end(pidfd_, limit)) return false;
  if (pidfd_ && !wait_for_clearing(container_, pid_, deadline)) return false;
  clear_abandoned(run_, container_);
  return true;
}

bool runs_on(const Container& container) {
  for (;;) {
    const Settled now = settle(container);
    if (!now.first || container.state().is_abandoned) return false;
    if (!wait_for_end(now.first->pidfd, std::chrono::milliseconds(0))) return true;
    wait_for_clearing(container, now.first->pid);
  }
}

void stop_container(const ContainerStore& store, const Container& container,
                    std::optional<std::chrono::seconds> timeout, std::optional<int> signal) {
  Stopping(store, container, timeout, signal).finish();
}

int wait_container(const Container& container) {
  const auto exit_code = wait_for_run_lock(open_run_lock(container.dir()));
  if (exit_code) return *exit_code;
  wait_for_abandoned(container);
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
