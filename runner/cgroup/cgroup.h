#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "runner/spec.h"

namespace lay::runner {

/// One container's cgroup, in every hierarchy there is: v1, v2, or both side by side (hybrid), where each
/// controller is used in the hierarchy that has it. Always lay/<id> beneath the root of the hierarchy as this
/// machine shows it, not beneath the cgroup of the lay that started it: so every later lay finds it again
/// whatever session it runs in, and v2's rule against processes in inner groups is kept. Device rules are set
/// by v1's devices controller, elsewhere by a program in v2.
class CgroupGuard {
 public:
  /// Makes the groups and sets the limits. Throws unsupported, naming the controller and the flag, when a
  /// limit is asked for that this machine cannot set.
  static CgroupGuard create(const std::string& container_id, const Resources& resources);
  /// The group of a container that somebody else supervises, for exec and kill; throws not_found.
  static CgroupGuard open(const std::string& container_id);
  CgroupGuard(CgroupGuard&&) noexcept;
  CgroupGuard& operator=(CgroupGuard&&) = delete;
  /// Removes the groups when made by create(); processes still in them are killed first.
  ~CgroupGuard();

  /// Moves a process in, in all hierarchies in a row: the first write waits for a grace period of the kernel
  /// (11 ms on v1), so callers do it beside other work.
  void attach(pid_t pid) const;
  /// SIGKILL to every process inside.
  void kill_all() const;
  /// How many processes the kernel killed in it for want of memory.
  std::uint64_t oom_kills() const;

 private:
  struct State;
  explicit CgroupGuard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Removes the groups of containers whose supervisor was killed.
void remove_cgroups(const std::string& container_id);

}  // namespace lay::runner
