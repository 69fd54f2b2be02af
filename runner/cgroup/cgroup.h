#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "cgroup/group_name.h"
#include "cgroup/layout.h"
#include "runner/spec.h"

namespace lay::runner {

/// One container's cgroup, in every hierarchy there is: v1, v2, or both side by side (hybrid), where each
/// controller is used in the hierarchy that has it. Always lay/<id>, or what --cgroup-parent says, beneath
/// the root of the hierarchy as this machine shows it, not beneath the cgroup of the lay that started it: so
/// every later lay finds it again whatever session it runs in, and v2's rule against processes in inner
/// groups is kept. Device rules are set by v1's devices controller, elsewhere by a program in v2.
/// A group as it can be mounted into a container.
struct CgroupMount {
  CgroupHierarchy hierarchy;
  UniqueFd mount;
};

enum class ExistingGroup {
  refused,
  /// When nothing runs in it, and nobody else makes a container in it: an engine may have made it. It is not
  /// this guard's to remove.
  joined,
};

class CgroupGuard {
 public:
  /// begin() and finish() in one.
  static CgroupGuard create(const CgroupName& name, const Resources& resources,
                            ExistingGroup existing = ExistingGroup::refused);
  /// Makes the group in which a child can be born. The others may be made while it makes itself ready.
  static CgroupGuard begin(const CgroupName& name, const Resources& resources,
                           ExistingGroup existing = ExistingGroup::refused);
  /// Makes the other groups and sets the limits. Throws unsupported, naming the controller and the flag, when
  /// a limit is asked for that this machine cannot set.
  void finish(const Resources& resources);
  bool is_finished() const;
  /// The group of a container that somebody else supervises, for exec; throws not_found.
  static CgroupGuard open(const CgroupName& name);
  /// No group at all: a process stays in its parent's.
  static CgroupGuard none();
  CgroupGuard(CgroupGuard&&) noexcept;
  CgroupGuard& operator=(CgroupGuard&&) = delete;
  /// Removes the groups when made by create(); processes still in them are killed first.
  ~CgroupGuard();

  /// The group in v2's hierarchy, for a child that is born in it (ChildProcess::clone()); null when there is
  /// none. Lives as long as this.
  const UniqueFd* birthplace() const;
  /// Moves the calling process, which has one thread and was born in birthplace(), into the groups of all
  /// other hierarchies. A thread that moves itself needs no lock against exec and exit of its process, and so
  /// does not wait for a grace period of the kernel (5 to 15 ms) as one that is moved by another does:
  /// cgroup_procs_write_start() in kernel/cgroup/cgroup.c.
  void enter() const;
  enum class Entrances {
    all,
    but_pids,
    pids,  ///< of v1's hierarchy that counts processes: to be entered last by who has to clone before
  };
  /// For a child that was born before finish(): what enter_cgroups() takes.
  std::vector<UniqueFd> open_entrances(Entrances which = Entrances::all) const;
  /// Lets that user of the host make groups in it and move processes among them, as
  /// /sys/kernel/cgroup/delegate says (cgroups(7), "Cgroups delegation"). Nothing where there is a v1: it has
  /// no safe way.
  void give_to(uid_t owner) const;
  /// Copies of the places where the groups can be seen, attached nowhere.
  std::vector<CgroupMount> clone_mounts() const;
  /// Whoever finds them by name removes them.
  void leave();
  /// How many processes the kernel killed in it for want of memory.
  std::uint64_t oom_kills() const;

 private:
  struct State;
  explicit CgroupGuard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Says so in `error` when the kernel has killed in the groups for want of memory.
void add_memory_kills(Error& error, const CgroupGuard& cgroup) noexcept;

/// Runs `work`, which starts a process in the groups.
template <class Work>
auto with_memory_kills(const CgroupGuard& cgroup, Work&& work) {
  try {
    return work();
  } catch (Error& error) {
    add_memory_kills(error, cgroup);
    throw;
  }
}

/// As CgroupGuard::enter().
void enter_cgroups(const std::vector<UniqueFd>& entrances);

/// Throws busy when something runs in groups of that name.
void require_no_processes(const CgroupName& name);

/// Removes the groups of containers whose supervisor was killed.
void remove_cgroups(const CgroupName& name);

}  // namespace lay::runner
