#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runner/container.h"
#include "runner/network_ahead.h"

/// What can be done with a container. Exit codes are the shell's: the command's own, 128 + N after signal N.
namespace lay::runner {

/// How a command ended whose output was joined to this process's own.
struct AttachedEnd {
  int exit_code = 0;
  /// What kept its output from being written here, such as a full disk. A reader that has gone does not
  /// count.
  std::optional<Error> lost_output;
};

/// Starts a created or exited container and supervises it in this process, its stdio joined to ours (through
/// a pty of its own when the spec asks for a terminal), until it ends. Signals
/// that are not about this process itself are passed on; window size changes follow the terminal.
/// Throws no_command (127) and not_invocable (126) when the command cannot be executed; after any failure
/// nothing is left: no mount, cgroup, link, rule or process. Removes the container when it is auto_remove; a
/// process of its own deletes the files, for nobody should wait for that.
/// `after_end` is called last, in that process if there is one, but not when the start has failed. What goes
/// wrong after the command has ended, such as a full disk when the end is written down, does not change its
/// exit code: `on_trouble` is told. `on_note` gets one-line remarks on the start, such as a setting of the
/// machine that was changed for it. `network` is what the caller has begun for this container, if anything.
AttachedEnd run_attached(
    const ContainerStore& store, const Container& container, const std::function<void()>& after_end = [] {},
    const std::function<void(const Error& error)>& on_trouble = [](const Error&) {},
    const std::function<void(const std::string& note)>& on_note = [](const std::string&) {},
    NetworkAhead network = NetworkAhead());

/// As run_attached, but by a supervisor of its own that outlives this process and writes the log. Returns
/// when the command has been executed; throws what the start threw. The supervisor has this process's
/// descriptors, and calls `after_end` last, also when the start failed.
void run_detached(
    const ContainerStore& store, const Container& container, const std::function<void()>& after_end = [] {},
    const std::function<void(const std::string& note)>& on_note = [](const std::string&) {},
    NetworkAhead network = NetworkAhead());

/// Throws invalid unless the `count` descriptors from 3 on are open, which a command is to keep. What starts
/// the command checks it too; asked before, nothing has been done yet.
void check_preserved(unsigned count);

/// A command for a container that runs, beside its first process.
struct ExecRequest {
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< added to the container's own
  std::optional<std::string> cwd;
  std::optional<std::string> user;  ///< as User::username
  bool terminal = false;
  bool open_stdin = false;
  unsigned preserved_fds = 0;  ///< descriptors from 3 on that the command keeps
  bool privileged = false;     ///< every capability that lay has, no seccomp: more than the container has
  std::function<void(const std::string& note)> on_note;  ///< what its user should know; empty: nobody listens
};

/// Runs a command inside a running container, in all its namespaces, its cgroup, and with no more rights than
/// its first process has unless it is privileged; returns when it has ended.
AttachedEnd exec_in(const ContainerStore& store, const Container& container, const ExecRequest& request);
/// As exec_in, but returns when the command has been executed, and leaves it to the container. It has
/// /dev/null as standard streams, or a terminal of its own, whose output is read by a process that stays, and
/// shown to nobody. Nothing is ever typed.
void exec_detached(const ContainerStore& store, const Container& container, const ExecRequest& request);

/// Freezes every process of a running container (cgroups(7)); returns when all stand still. Throws invalid
/// when it is not running or paused already, busy when a process does not stand still.
void pause_container(const Container& container);
/// Throws invalid when it is not paused.
void unpause_container(const Container& container);
bool is_paused(const Container& container);

/// Whether an update sets the schemata of the container's class of resctrl, also to what they should be
/// already: an update that was killed may have set others, and not have noted them.
enum class Schemata { leave, set };

/// Gives a container other limits, for this run if it is running and for all later ones; device rules and
/// processors once given stay. `change` gets what is in force, of which resources and intel_rdt count. Throws
/// what the kernel refuses; then the old limits are set again.
void update_container(const ContainerStore& store, const std::string& name,
                      const std::function<Schemata(Linux& limits)>& change);

/// Sends a signal to the first process, and lets a paused container go on to receive it. Throws invalid when
/// it is not running.
void signal_container(const Container& container, int signal);

/// A container that has been asked to end. So several end together, whatever each takes of its time.
class Stopping {
 public:
  /// Sends `signal` (the container's stop signal when empty), unless `timeout` (the container's own when
  /// empty) is 0. Never waits: one that is just starting is asked by finish(). Not running is success.
  /// `container` must outlive it.
  Stopping(const ContainerStore& store, const Container& container,
           std::optional<std::chrono::seconds> timeout, std::optional<int> signal = std::nullopt);

  /// Waits until it has ended, and kills it when the timeout is over. What a killed supervisor has left of it
  /// is cleared away, too.
  void finish();

  /// Only waits until it has ended, for who has killed it; false when it takes longer than `limit`. What a
  /// killed supervisor has left of it is cleared away, too.
  bool has_ended_within(std::chrono::milliseconds limit);

 private:
  bool try_ask();
  void await_end();
  std::string run_;
  const Container& container_;
  std::chrono::seconds timeout_;
  std::optional<int> signal_;
  std::optional<FileLock> upper_;  ///< nobody captures it as long as it is waited for
  pid_t pid_ = 0;
  UniqueFd pidfd_;  ///< empty when it does not run
  std::chrono::steady_clock::time_point deadline_;
};

/// Whether it runs under a supervisor, and not only until that has cleared up: one that is just starting or
/// ending is waited for. Throws as settle() of a container that is always in between.
bool runs_on(const Container& container);

/// Stops one container, as Stopping says.
void stop_container(const ContainerStore& store, const Container& container,
                    std::optional<std::chrono::seconds> timeout, std::optional<int> signal = std::nullopt);
/// Waits until it has ended; returns the exit code.
int wait_container(const Container& container);
/// Looks at its state every `pause` until `is_wanted` takes one, and returns that. One that is removed
/// meanwhile, itself with auto_remove, is taken for ended with the exit code that it left; throws not_found
/// when that is not wanted, or there is none.
ContainerState await_state(const Container& container,
                           const std::function<bool(const ContainerState& state)>& is_wanted,
                           std::chrono::milliseconds pause);

/// "TERM", "SIGTERM" or "15"; throws invalid.
int parse_signal(std::string_view text);

enum class LogFollow { no, yes };
struct LogRequest {
  LogFollow follow = LogFollow::no;
  std::optional<std::uint64_t> tail;  ///< the last lines only
  bool timestamps = false;
  std::optional<Time> since;  ///< nothing that was written before
  std::optional<Time> until;  ///< nothing that was written after; with follow no longer than that
};
enum class LogStream { out, err };
/// Calls `print` for each logged piece in order; with follow until the container has ended.
void read_log(const Container& container, const LogRequest& request,
              const std::function<void(LogStream, const std::string& text)>& print);

}  // namespace lay::runner
