#include "process/exec_child.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cgroup/group.h"
#include "process/birth.h"
#include "process/namespaces.h"
#include "process/oom_score.h"
#include "process/own_program.h"
#include "process/process.h"
#include "process/process_steps.h"
#include "process/pty.h"
#include "process/scheduling.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

/// All in one call: the mount namespace brings the container's root with it. Entering one that the container
/// shares with the host changes nothing. The pid namespace is its children's: birth.h.
constexpr int kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

/// From inside, the pty is the container's.
void take_console(const ExecPlan& plan, const ChildEnd& parent) {
  if (!plan.process.terminal) return;
  const UniqueFd master = open_pty_master();
  set_window_size(master, plan.process.console_size);  // before the command can ask for it
  if (plan.birth == BirthTime::early)
    take_terminal(master);
  else
    take_terminal_as_stdio(master);
  parent.send_descriptor(master);
}

void enter_namespaces(const ExecPlan& plan) {
  int types = kNamespaces;
  if (plan.user_namespace) types |= CLONE_NEWUSER;
  if (plan.time_namespace) types |= CLONE_NEWTIME;
  set_namespaces(plan.first_process, types);
  if (plan.user_namespace) become_root_inside();
  if (plan.root && (::fchdir(plan.root.get()) < 0 || ::chroot(".") < 0))
    throw Error::from_errno("enter the container's root");
}

/// With all rights, but without a descriptor that is not needed any more.
void be_born_early(const ExecPlan& plan, const ChildEnd& parent, ChildEnd& birth) {
  std::vector<int> kept{birth.get()};
  if (const auto& listener = plan.confinement.listener)
    kept.insert(kept.end(), {listener->socket.get(), listener->proc.get()});
  kept.push_back(plan.confinement.label.opened.get());
  parent.close_others(plan.become.preserved_fds, kept);
  be_born(birth);
  begin_session();
  if (plan.user_namespace) parent.wait_for_parent();  // which schedules it
  if (plan.become.supervision == Supervision::by_parent) stay_with_supervisor(parent);
}

/// `birth` stays open until an error has been sent: who waits for it would else be told nothing.
[[noreturn]] void start(ExecPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent, ChildEnd& birth) {
  leave_caller();
  const bool is_watched = plan.onlookers.are != Onlookers::blind;
  stand_on(std::move(plan.program), is_watched ? Libraries::in_memory : Libraries::mapped);
  open_exec_label(plan.confinement.label);
  set_cpu_affinity(plan.process.exec_cpu_affinity.initial);
  if (plan.resctrl) plan.resctrl->enter();
  // From here on its limits are in force; a group that is full of processes takes one that comes, but lets
  // none clone. Who could be made to clone before it enters has to be counted from the beginning.
  const bool may_be_limited_last = plan.birth == BirthTime::late && plan.onlookers.are != Onlookers::tracers;
  const bool is_counted_last = may_be_limited_last && may_enter_group(plan.confinement.seccomp);
  enter_cgroups(cgroup.open_entrances(is_counted_last ? CgroupGuard::Entrances::but_pids
                                                      : CgroupGuard::Entrances::all));
  std::vector<UniqueFd> last_groups;
  if (is_counted_last) last_groups = cgroup.open_entrances(CgroupGuard::Entrances::pids);
  set_cpu_affinity(plan.process.exec_cpu_affinity.final_);
  BecomeOptions options = plan.become;
  options.missing_folder = MissingFolder::refused;
  if (plan.user_namespace) {  // these two take rights over the host
    raise_hard_limits(0, plan.process.rlimits);
    if (plan.birth == BirthTime::late) apply_scheduling(0, plan.process);
    options.is_scheduled = true;
  }
  if (plan.keeps_stdio) replace_null_streams();  // in the host's namespaces it has the right to
  enter_namespaces(plan);
  if (!plan.process.terminal && !plan.keeps_stdio) take_stdio(plan.stdio);
  if (plan.birth == BirthTime::early) {
    be_born_early(plan, parent, birth);
  } else {
    options.last_groups = &last_groups;
    options.birth = &birth;
    options.has_terminal = plan.process.terminal;
    options.limits_processes_last = may_be_limited_last && may_limit_processes(plan.confinement.seccomp);
  }
  if (plan.has_own_keyring) join_session_keyring(plan.container_id);
  take_console(plan, parent);
  if (plan.become.supervision == Supervision::by_others) outlive_supervisor();
  become(plan.process, plan.confinement, parent, options);
}

/// A container that has given its own group's controllers to groups beneath, as an init system does, has no
/// process in that group any more, nor may have (cgroups.rst, "No Internal Process Constraint"): then where
/// its first process is.
std::optional<ChildProcess> clone_in_group(const ExecPlan& plan, pid_t first, const CgroupGuard& cgroup) {
  try {
    return ChildProcess::clone(0, cgroup.birthplace());
  } catch (const Error& error) {
    if (error.error_number() != EBUSY || !plan.may_leave_group) throw;
  }
  const UniqueFd group = open_unified_group_of(first);
  return ChildProcess::clone(0, &group);
}

}  // namespace

ExecChild clone_exec_child(ExecPlan& plan, pid_t first, const CgroupGuard& cgroup, Handshake& handshake) {
  plan.birth = birth_time(plan.process, plan.confinement, plan.onlookers.are);
  Handshake birth = make_handshake();
  const OomScoreGuard score(plan.process.oom_score_adj);
  std::vector<pid_t> others = list_children();
  auto process = clone_in_group(plan, first, cgroup);
  if (!process) {
    { const ParentEnd unused = std::move(handshake.parent); }
    { const ParentEnd unused = std::move(birth.parent); }
    run_child(handshake.child, [&] { start(plan, cgroup, handshake.child, birth.child); });
  }
  { const ChildEnd unused = std::move(handshake.child); }
  if (plan.signals != nullptr) {
    handshake.parent.heed(*plan.signals);
    birth.parent.heed(*plan.signals);
  }
  return {std::move(others), std::move(*process), std::move(birth.parent)};
}

void tell_of_terminal(const ExecPlan& plan, const std::function<void(const std::string& note)>& tell) {
  if (!plan.process.terminal || !tell || plan.birth == BirthTime::early) return;
  if (const auto note = note_on_terminal(plan.confinement.seccomp)) tell(*note);
}

ChildProcess wait_for_exec_child(ExecChild child, const ExecPlan& plan, const ParentEnd& parent) {
  ChildProcess born = wait_for_birth(std::move(child.between), child.birth, parent, child.others);
  if (plan.birth == BirthTime::early && plan.user_namespace) {
    apply_scheduling(born.pid(), plan.process);
    parent.let_go();
  }
  return born;
}

}  // namespace lay::runner
