#include "runner/lifecycle.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/detach.h"
#include "base/error.h"
#include "base/process_title.h"
#include "base/syscalls.h"
#include "container/leftovers.h"
#include "container/log_writer.h"
#include "container/run_lock.h"
#include "process/handshake.h"
#include "process/idle_memory.h"
#include "process/launch.h"
#include "process/pid_file.h"
#include "process/process.h"
#include "process/relay.h"
#include "runner/ended.h"

namespace lay::runner {

namespace {

/// Somebody who only asks whether the container runs, or changes its settings, holds the lock for a moment
/// too.
constexpr int kLockTries = 2500;
constexpr useconds_t kLockPause = 2000;  // microseconds
constexpr int kLate = 255;               // the exit code when its time is over, as podman has it

FileLock lock_for_run(const Container& container) {
  for (int attempt = 0; attempt < kLockTries; ++attempt) {
    const FileLock upper = container.lock_upper(LockMode::shared);  // a commit sees the one or the other
    if (auto lock = container.try_lock()) return std::move(*lock);
    if (container.state().status == Status::running) break;
    ::usleep(kLockPause);
  }
  throw Error::make(Errc::busy, "container '{}' is running already", container.config().name)
      .with_hint(fmt::format("'lay exec {0}' runs a command in it, 'lay stop {0}' stops it",
                             container.config().name));
}

/// What others have changed of it until its lock was had counts.
Container read_again(const ContainerStore& store, const Container& container) {
  Container now = store.find(container.config().id);
  now.use_lowers(container.config().lowers);
  return now;
}

/// What it had only while it lived.
void forget_life(ContainerState& state) {
  state.address.clear();
  state.delegated.clear();
  state.ports.clear();
}

RunEnd end_of(const ContainerState& state) {
  return {.exit_code = state.exit_code,
          .oom_killed = state.oom_killed,
          .finished = state.finished.value_or(Time{})};
}

/// One run of a container, from lock to last state, in the process that supervises it.
class Run {
 public:
  Run(const ContainerStore& store, const Container& container, Joined own_stdio)
      : store_(store),
        own_stdio_(own_stdio),
        is_first_(container.is_new()),
        lock_(lock_for_run(container)),
        changed_(is_first_ ? std::nullopt : std::optional(read_again(store, container))),
        container_(changed_ ? *changed_ : container) {}

  /// Starts it; when this returns, the command has been executed. After a failure nothing is left of it but
  /// the folder, and not even that with auto_remove.
  void start(NetworkAhead network, const std::function<void(const Container& container)>& make_durable) {
    const ContainerState before = is_first_ ? ContainerState{} : container_.state_at_rest(lock_);
    if (!is_first_) clear_leftovers(store_.run(), container_);
    forget_end(lock_);
    try {
      open_log();
      std::unique_ptr<AtomicFile> running;
      launched_.emplace(
          launch(store_, container_, std::move(network), [&](const LaunchedContainer& launched) {
            running = prepare_running(launched);
            make_durable(container_);
          }));
      running->publish();
      if (launched_->delegated) launched_->delegated->start();  // from here on somebody could stop it
    } catch (const Error& error) {
      launched_.reset();
      keep([&] { save_failure(before, error); });  // why it did not start is what counts
      throw;
    }
  }

  /// Supervises it until its end.
  AttachedEnd finish() {
    std::optional<Error> lost =
        relay_until_end(launched_->process.pidfd(), std::move(launched_->stdio), signals_,
                        {.own_stdio = own_stdio_,
                         .shows_out = first_run().shows_out,
                         .shows_errors = first_run().shows_errors,
                         .passes_signals = first_run().passes_signals,
                         .terminal = container_.config().spec.process.terminal,
                         .log = log_ ? &*log_ : nullptr,
                         .when_idle = release_idle_memory,
                         .deadline = deadline(),
                         .when_late = [&] { end_late(); }});
    state_.exit_code = launched_->process.wait();
    if (is_late_) state_.exit_code = kLate;
    keep([&] { state_.oom_killed = launched_->cgroup.oom_kills() > 0; });
    launched_.reset();
    if (log_) state_.error = log_->failure();
    save_end();
    return {.exit_code = state_.exit_code, .lost_output = std::move(lost)};
  }

  /// What the user should know of how it was started.
  std::vector<std::string> notes() const {
    return launched_ ? launched_->networks.notes() : std::vector<std::string>();
  }

  /// After finish(): what is left to be deleted of a container with auto_remove.
  std::optional<RemovedContainer> take_removed() { return std::exchange(removed_, std::nullopt); }

  /// What went wrong when the end was written down.
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  const FirstRun& first_run() const { return container_.config().first_run; }

  std::optional<std::chrono::steady_clock::time_point> deadline() const {
    const std::chrono::seconds timeout = container_.config().timeout;
    if (timeout.count() == 0) return std::nullopt;
    return std::chrono::steady_clock::now() + timeout;
  }

  void end_late() {
    is_late_ = send_signal(launched_->process.pidfd(), SIGKILL);
    keep([&] { signal_container(container_, SIGKILL); });  // one that stands still, too
  }

  void write_own_pid(pid_t pid) {
    if (const std::string& file = container_.config().pid_file; !file.empty()) write_pid_file(file, pid);
  }

  /// Nobody could read that of a container that goes with its end, when the caller sees all of it.
  void open_log() {
    const ContainerConfig& config = container_.config();
    if (config.log.is_kept && (own_stdio_ == Joined::no || !config.auto_remove))
      log_.emplace(container_.dir(), config.log.max_bytes / 2);
  }

  std::unique_ptr<AtomicFile> prepare_running(const LaunchedContainer& launched) {
    const pid_t pid = launched.process.pid();
    write_own_pid(pid);
    state_ = {.status = Status::running,
              .pid = pid,
              .pid_start_time = start_time(pid).value_or(0),
              .boot_id = sys::boot_id(),
              .started = std::chrono::system_clock::now()};
    if (launched.delegated) state_.delegated = launched.delegated->folder();
    if (const Attachment* attachment = launched.networks.first()) {
      state_.address = attachment->address;
      state_.gateway = attachment->gateway;
      state_.mac_address = attachment->mac_address;
      state_.ports = launched.networks.ports();
    }
    return container_.prepare_state(state_);
  }

  /// Of an earlier run everything stays as it was.
  void save_failure(const ContainerState& before, const Error& error) {
    if (container_.config().auto_remove) return store_.take_out(container_, lock_).delete_files();
    state_ = before;
    forget_life(state_);
    state_.error = printable(error.message());
    if (state_.status == Status::exited) write_end(lock_, end_of(state_));
    container_.save_state(state_);
  }

  /// Into the lock first: who waits for it reads the exit code there, even when the folder is gone or the
  /// disk full.
  void save_end() {
    state_.status = Status::exited;
    state_.pid = 0;
    state_.finished = std::chrono::system_clock::now();
    forget_life(state_);
    keep([&] { write_end(lock_, end_of(state_)); });
    keep([&] {
      if (container_.config().auto_remove)
        removed_ = store_.take_out(container_, lock_);
      else
        container_.save_state(state_);
    });
  }

  /// The command has ended: a failure is kept for who wants to hear of it, and the rest is done all the same.
  template <class Work>
  void keep(Work&& work) {
    try {
      work();
    } catch (Error& error) {
      error.add_context(fmt::format("the end of container '{}'", container_.config().name));
      if (!trouble_) trouble_ = error;
    }
  }

  const ContainerStore& store_;
  Joined own_stdio_;
  bool is_first_;
  FileLock lock_;
  std::optional<Container> changed_;
  const Container& container_;
  SignalQueue signals_;  // before the process, so that no signal is lost
  ContainerState state_;
  std::optional<LogWriter> log_;
  std::optional<LaunchedContainer> launched_;
  bool is_late_ = false;
  std::optional<RemovedContainer> removed_;
  std::optional<Error> trouble_;
};

/// What nobody waits for. A failure leaves it to a later sweep.
void delete_files(const ContainerStore& store, const std::optional<RemovedContainer>& removed) noexcept {
  try {
    if (!removed) return;
    removed->delete_files();
    sweep_ended(store);
  } catch (const std::exception&) {
  }
}

/// As a process of its own where there are files to delete; here when there is none to be had.
void clear_up(const ContainerStore& store, const std::optional<RemovedContainer>& removed,
              const std::function<void()>& after_end) {
  bool is_alone = false;
  try {
    is_alone = removed && detach(Descriptors::own);
    if (removed && !is_alone) return;
  } catch (const Error&) {
  }
  delete_files(store, removed);
  after_end();
  if (is_alone) ::_exit(0);
}

/// Beside the supervisor's start, whose caller only waits for it meanwhile, and would wait for the disk too.
std::vector<std::string> make_durable_beside(const Container& container, const ParentEnd& supervisor) {
  std::exception_ptr failure;
  try {
    container.make_durable();
    supervisor.let_go();
  } catch (const std::exception&) {
    failure = std::current_exception();
    supervisor.turn_away();
  }
  std::vector<std::string> notes;
  try {
    notes = supervisor.wait_for_report();
  } catch (const Error&) {
    if (!failure) throw;
  }
  if (failure) std::rethrow_exception(failure);
  return notes;
}

void wait_until_durable(const ChildEnd& caller) {
  if (!caller.hears_parent())
    throw Error(Errc::cancelled, "whoever started the container has ended, or could not sync its settings");
}

/// The caller may be gone: the container runs on.
void tell(const ChildEnd& caller, const std::vector<std::string>& notes) noexcept {
  try {
    for (const std::string& note : notes) caller.send_note(note);
  } catch (const std::exception&) {
    return;
  }
  caller.report_executed();
}

/// The supervisor's life: what happens before the command is executed is reported, what comes after is only
/// kept in the container's folder.
[[noreturn]] void supervise(const ContainerStore& store, const Container& container, ChildEnd caller,
                            NetworkAhead network, const std::function<void()>& after_end) noexcept {
  try {
    std::optional<Run> run;
    try {
      run.emplace(store, container, Joined::no);
      if (!container.config().runtime.is_own()) close_inherited();  // which it would get
      run->start(std::move(network), [&](const Container&) {
        close_inherited();  // the first process closes them itself
        wait_until_durable(caller);
      });
    } catch (const Error& error) {
      run.reset();  // its lock first: whoever hears of the failure may remove the container at once
      caller.send_error(error);
      close_inherited();  // who waits for their end need not wait for the rest
      after_end();
      ::_exit(1);
    }
    tell(caller, run->notes());
    { const ChildEnd told = std::move(caller); }
    ::sched_yield();  // which the caller hears first, on this processor too
    set_process_title("lay: supervisor of " + container.config().name);
    run->finish();
    const std::optional<RemovedContainer> removed = run->take_removed();
    run.reset();
    delete_files(store, removed);
    after_end();
  } catch (const std::exception&) {
    ::_exit(1);  // the state says "running" with nobody behind it, and so reads as ended
  }
  ::_exit(0);
}

}  // namespace

AttachedEnd run_attached(const ContainerStore& store, const Container& container,
                         const std::function<void()>& after_end,
                         const std::function<void(const Error& error)>& on_trouble,
                         const std::function<void(const std::string& note)>& on_note, NetworkAhead network) {
  std::optional<Run> run(std::in_place, store, container, Joined::yes);
  run->start(std::move(network), [](const Container& started) { started.make_durable(); });
  for (const std::string& note : run->notes()) on_note(note);
  AttachedEnd end = run->finish();
  if (run->trouble()) on_trouble(*run->trouble());
  const std::optional<RemovedContainer> removed = run->take_removed();
  run.reset();  // its lock: whoever waits for the end need not wait for the rest
  clear_up(store, removed, after_end);
  return end;
}

void run_detached(const ContainerStore& store, const Container& container,
                  const std::function<void()>& after_end,
                  const std::function<void(const std::string& note)>& on_note, NetworkAhead network) {
  container.lock_upper(LockMode::shared);  // a commit is waited for where the user sees it
  network.wait();
  Handshake handshake = make_handshake();
  if (detach(Descriptors::all)) {
    { const ParentEnd unused = std::move(handshake.parent); }  // or the caller's end would not be noticed
    container.leave_sync_to_other();
    supervise(store, container, std::move(handshake.child), std::move(network), after_end);
  }
  { const ChildEnd unused = std::move(handshake.child); }
  container.leave_lock_to_other();
  for (const std::string& note : make_durable_beside(container, handshake.parent)) on_note(note);
}

}  // namespace lay::runner
