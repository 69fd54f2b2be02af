#include <utility>

#include "base/error.h"
#include "cgroup/cgroup.h"
#include "oci/bundle.h"
#include "oci/create.h"
#include "oci/first_process.h"
#include "oci/joined_root.h"
#include "oci/newcomers.h"
#include "oci/store.h"
#include "process/exec_child.h"
#include "process/namespaces.h"
#include "process/own_program.h"
#include "process/pid_file.h"
#include "process/pty.h"
#include "process/relay.h"
#include "runner/lifecycle.h"

namespace lay::runner {

namespace {

/// A command that is being executed in a container.
struct OciExecuted {
  ChildProcess process;
  UniqueFd console;  ///< master of its terminal, unless the console socket got it
};

CgroupName group_for(const OciContainer& container, const std::string& below) {
  const CgroupName own = cgroup_of(container.record());
  if (below.empty()) return own;
  std::vector<std::string> folders = parse_cgroup_path(below);
  std::string last = std::move(folders.back());
  folders.back() = own.id;
  std::rotate(folders.rbegin(), folders.rbegin() + 1, folders.rend());
  const std::string path = join(folders, "/");
  return {std::move(last), own.parent.empty() ? path : own.parent + "/" + path};
}

void check_terminal(const Process& process, const OciExecRequest& request, Supervision supervision) {
  const bool has_socket = !request.console_socket.empty();
  if (has_socket && !process.terminal)
    throw Error(Errc::invalid, "there is a console socket, but the command has no terminal")
        .with_hint("--tty, or \"terminal\": true in the file of --process");
  if (process.terminal && !has_socket && supervision == Supervision::by_others)
    throw Error(Errc::invalid, "a terminal of a detached command has to go somewhere")
        .with_hint("--console-socket PATH");
}

ExecPlan plan_exec(const OciStore& store, const OciContainer& container, Spec spec,
                   const OciExecRequest& request) {
  auto first = open_first_process(container.record());
  if (!first) throw Error::make(Errc::invalid, "container not running: '{}'", container.id());
  if (!request.may_be_paused && container.status() == OciStatus::paused)
    throw Error::make(Errc::invalid, "container '{}' is paused", container.id()).with_hint("resume it first");
  const bool is_in_user_namespace = !shares_namespace(container.record().pid, NamespaceType::user);
  const bool joins_others =
      has_namespace(spec, NamespaceType::pid) && !has_own_namespace(spec, NamespaceType::pid);
  const Onlookers own = onlookers_of(spec.process.capabilities, is_in_user_namespace, joins_others);
  const Onlookers own_rights = onlookers_with(spec.process.capabilities, is_in_user_namespace);
  spec.process = request.process(spec.process);
  settle_process(spec.process,
                 is_in_user_namespace ? CapabilitySource::user_namespace : CapabilitySource::callers_own,
                 request.warn);
  ExecPlan plan{.container_id = container.id(),
                .process = spec.process,
                .confinement = prepare_confinement(spec, store.root() + kOciSeccomp),
                .program = open_own_program(),
                .first_process = std::move(*first),
                .user_namespace = is_in_user_namespace,
                .time_namespace = has_namespace(spec, NamespaceType::time),
                .resctrl = ResctrlGroup::open(container.record().resctrl_folders),
                .may_leave_group = request.cgroup.empty(),
                .has_own_keyring = container.record().has_own_keyring,
                .keeps_stdio = !spec.process.terminal,
                .become = {.has_callers_stdio = true, .preserved_fds = request.preserved_fds}};
  if (is_in_user_namespace) plan.become.ids = id_maps_of(container.record().pid);
  if (!container.record().mount_namespace.empty()) plan.root = open_root_of(container.record().pid);
  plan.confinement.listener = connect_seccomp_listener(spec.linux_, container.state());
  const Onlookers command = onlookers_with(plan.process.capabilities, is_in_user_namespace);
  if (command > own_rights)
    let_into_pids(
        store, open_namespace(namespace_path(container.record().pid, NamespaceType::pid), NamespaceType::pid),
        command);
  plan.onlookers = know_onlookers(notes_of(container), own);
  return plan;
}

/// `signals` may be null: see ExecPlan.
OciExecuted execute(const OciStore& store, const OciExecRequest& request, Supervision supervision,
                    const UniqueFd* signals) {
  const OciContainer container = store.find(request.id);
  check_preserved(request.preserved_fds);
  require_pid_folder(request.pid_file);
  Spec spec = container.spec();
  const CgroupGuard cgroup = container.record().has_cgroups
                                 ? CgroupGuard::open(group_for(container, request.cgroup))
                                 : CgroupGuard::none();
  ExecPlan plan = plan_exec(store, container, std::move(spec), request);
  plan.become.supervision = supervision;
  plan.signals = signals;
  check_terminal(plan.process, request, supervision);
  Handshake handshake = make_handshake();
  ExecChild child = clone_exec_child(plan, container.record().pid, cgroup, handshake);
  tell_of_terminal(plan, request.warn);
  plan.confinement.listener.reset();
  OciExecuted executed{.process = wait_for_exec_child(std::move(child), plan, handshake.parent),
                       .console = {}};
  if (plan.process.terminal) {
    executed.console = handshake.parent.receive_descriptor();
    if (!request.console_socket.empty()) {
      send_to_console_socket(request.console_socket, executed.console);
      executed.console.reset();
    }
  }
  plan.program.reset();  // beside the execution of the command
  handshake.parent.wait_for_exec();
  if (!request.pid_file.empty()) write_pid_file(request.pid_file, executed.process.pid());
  return executed;
}

}  // namespace

int oci_exec(const OciStore& store, const OciExecRequest& request) {
  const SignalQueue signals;
  const UniqueFd ending = open_end_requests();
  OciExecuted executed = execute(store, request, Supervision::by_parent, &ending);
  const bool has_terminal = static_cast<bool>(executed.console);
  ParentStdio stdio;
  if (has_terminal) stdio = parent_side(std::move(executed.console), InputMode::relayed);
  relay_until_end(executed.process.pidfd(), std::move(stdio), signals, {.terminal = has_terminal});
  return executed.process.wait();
}

void oci_exec_detached(const OciStore& store, const OciExecRequest& request) {
  OciExecuted executed = execute(store, request, Supervision::by_others, nullptr);
  executed.process.leave();
}

}  // namespace lay::runner
