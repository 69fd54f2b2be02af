#include "process/init.h"

#include <sched.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "process/namespaces.h"
#include "process/own_program.h"
#include "process/process.h"
#include "process/process_steps.h"
#include "process/pty.h"
#include "security/id_map.h"
#include "security/sysctl.h"

namespace lay::runner {

namespace {

void set_hostname(const Spec& spec) {
  if (!has_own_namespace(spec, NamespaceType::uts) || spec.hostname.empty()) return;
  if (::sethostname(spec.hostname.data(), spec.hostname.size()) < 0)
    throw Error::from_errno("set the hostname '{}'", spec.hostname);
}

void take_console(InitPlan& plan, const ChildEnd& parent) {
  if (!plan.spec.process.terminal) {
    if (!plan.stdio.in) plan.stdio.in = open_null_inside();
    return take_stdio(plan.stdio);
  }
  const UniqueFd master = open_console(plan.spec);
  take_terminal(master);
  parent.send_descriptor(master);
}

/// It was born there, without ids: the parent gives it some. As long as it has none it is the host's root to
/// the files of its cgroups.
void enter_user_namespace(const Spec& spec, const CgroupGuard& cgroup, const ChildEnd& parent) {
  cgroup.enter();
  parent.wait_for_parent();
  become_root_inside();
  make_ipc_namespace(spec);
}

void make_root(const InitPlan& plan) {
  if (plan.prepared)
    enter_prepared_rootfs(plan.spec, *plan.prepared);
  else
    enter_rootfs(plan.spec, plan.rootfs);
}

void leave_cgroups(const Spec& spec) {
  if (!has_namespace(spec, NamespaceType::cgroup)) return;
  if (has_own_namespace(spec, NamespaceType::cgroup) && ::unshare(CLONE_NEWCGROUP) < 0)
    throw Error::from_errno("make a cgroup namespace");
  mount_cgroups(spec);
}

[[noreturn]] void start(InitPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent) {
  leave_caller();  // first: until exec this process is lay's program
  stand_on(std::move(plan.program));
  open_exec_label(plan.confinement.label);
  enter_time_namespace(plan.spec);  // while files of the host's root can be written
  if (plan.resctrl) plan.resctrl->enter();
  if (plan.prepared) enter_user_namespace(plan.spec, cgroup, parent);
  join_session_keyring(plan.container_id);
  if (plan.network == NetworkMode::none && !plan.has_loopback) bring_loopback_up();
  write_sysctls(plan.spec);  // while the host's /proc can be reached
  set_hostname(plan.spec);
  set_domainname(plan.spec);
  make_root(plan);             // the longest step; beside it the parent does the cgroups and the network
  take_console(plan, parent);  // from inside: the pty is the container's
  if (cgroup.is_finished()) {
    parent.wait_for_parent();
  } else {
    enter_finished(parent);  // late: what this process takes is not the container's yet
  }
  // From here on limits and network are in force.
  leave_cgroups(plan.spec);  // the namespace's root is where this process is now
  become(plan.spec.process, plan.confinement, parent,
         {.is_scheduled = plan.prepared.has_value(),
          .preserved_fds = plan.preserved_fds,
          .ids = plan.rootfs.overlay.id_maps()});
}

}  // namespace

void run_init(InitPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent) noexcept {
  run_child(parent, [&] { start(plan, cgroup, parent); });
}

}  // namespace lay::runner
