#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/unique_fd.h"

/// Processes by descriptor, so that no signal ever reaches a stranger that got the
/// number of one that has ended.
namespace lay::runner {

/// pidfd_open(2); empty when there is no such process.
std::optional<UniqueFd> open_process(pid_t pid);
/// pidfd_send_signal(2); false when the process has ended.
bool send_signal(const UniqueFd& pidfd, int signal);
/// Field 22 of /proc/<pid>/stat, in clock ticks after boot; empty when there is no such process. proc(5).
std::optional<std::uint64_t> start_time(pid_t pid);
/// The number that the process of a pidfd has in /proc, which a container's first process still has of the
/// host; 0 when it has ended. fdinfo of a pidfd, proc(5).
pid_t number_in_proc(const UniqueFd& pidfd);
/// Waits until the process has ended; false when `timeout` is over before. Without one it waits for ever.
bool wait_for_end(const UniqueFd& pidfd, std::optional<std::chrono::milliseconds> timeout);
/// setns(2) of the calling thread into the given namespaces (CLONE_NEW*) of a process, or of one namespace by
/// its file.
void set_namespaces(const UniqueFd& fd, int types);

/// A child process. One that was not waited for is killed and reaped on destruction.
class ChildProcess {
 public:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  /// clone3(2) with `flags` (CLONE_NEW*, CLONE_PARENT): as fork(2), empty in the child. For processes with
  /// one thread only, since the child goes on with a copy of all memory. It is born in the cgroup
  /// `birthplace`, a folder of v2's hierarchy, unless that is null.
  static std::optional<ChildProcess> clone(std::uint64_t flags, const UniqueFd* birthplace);

  pid_t pid() const { return pid_; }
  const UniqueFd& pidfd() const { return pidfd_; }
  /// Waits for the end; returns the exit code, 128 + N after signal N. One that a process of the container
  /// traces, and does not let go when it has ended, is left to whoever adopts orphans.
  int wait();
  /// A process that `between`, a child of this one, has cloned as a sibling of itself (CLONE_PARENT): by the
  /// pidfd that it has sent. `between` ends.
  static ChildProcess adopt(UniqueFd pidfd, ChildProcess between);
  /// Lives on without this process: whoever adopts orphans waits for it.
  void leave() { pidfd_.reset(); }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

}  // namespace lay::runner
