#include "delegate/exec.h"

#include <unistd.h>

#include <exception>
#include <optional>
#include <utility>

#include "base/detach.h"
#include "base/error.h"
#include "base/process_title.h"
#include "base/syscalls.h"
#include "cgroup/cgroup.h"
#include "process/command.h"
#include "process/exec_child.h"
#include "process/first_process.h"
#include "process/handshake.h"
#include "process/idle_memory.h"
#include "process/namespaces.h"
#include "process/onlookers.h"
#include "process/own_program.h"
#include "process/process.h"
#include "process/relay.h"
#include "process/start_plan.h"
#include "runner/isolation.h"
#include "runner/lifecycle.h"
#include "security/id_map.h"

namespace lay::runner {

namespace {

Process plan_process(const ContainerConfig& config, const ExecRequest& request) {
  Process process = config.spec.process;
  process.args = request.args;
  process.terminal = request.terminal;
  process.has_init = false;  // the container's own reaps for this command, too
  if (request.cwd) process.cwd = *request.cwd;
  if (request.user) process.user.username = *request.user;
  add_default(process.env, "HOSTNAME", config.spec.hostname);
  for (const std::string& entry : request.env) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(process.env,
                  [&](const std::string& other) { return !name.empty() && other.starts_with(name); });
    process.env.push_back(entry);
  }
  if (request.terminal) add_default(process.env, "TERM", "xterm");
  return process;
}

void give_all_capabilities(Process& process) {
  process.capabilities = choose_capabilities({"ALL"}, {});
  process.no_new_privileges = false;
}

/// As --privileged of run; namespaces and device rules stay the container's.
void give_all_rights(ExecPlan& plan) {
  give_all_capabilities(plan.process);
  plan.confinement = {};
}

InputMode input_of(const ExecRequest& request) {
  return request.open_stdin ? InputMode::relayed : InputMode::none;
}

/// A command that is being executed in the container.
struct Executed {
  ChildProcess process;
  Stdio stdio;
};

Stdio stdio_for(const ExecRequest& request, Supervision supervision) {
  if (supervision == Supervision::by_others) return {.child = silent_stdio(), .parent = {}};
  return request.terminal ? Stdio() : make_pipes(input_of(request));
}

/// Returns when the command has been executed.
Executed execute(ExecPlan& plan, const ContainerConfig& config, const ExecRequest& request, pid_t first) {
  const CgroupGuard cgroup = CgroupGuard::open(cgroup_name_of(config));
  Stdio stdio = stdio_for(request, plan.become.supervision);
  plan.stdio = std::move(stdio.child);
  if (const auto& ids = plan.become.ids) give_pipes_to(plan.stdio, ids->root_uid(), ids->root_gid());

  Handshake handshake = make_handshake();
  ExecChild child = clone_exec_child(plan, first, cgroup, handshake);
  tell_of_terminal(plan, request.on_note);
  plan.stdio = {};
  plan.confinement.listener.reset();
  ChildProcess process = wait_for_exec_child(std::move(child), plan, handshake.parent);
  if (request.terminal) stdio.parent = parent_side(handshake.parent.receive_descriptor(), input_of(request));
  plan.program.reset();  // beside the execution of the command
  handshake.parent.wait_for_exec();
  return {std::move(process), std::move(stdio)};
}

bool shares_pids(const ContainerConfig& config) {
  return config.joined.contains(NamespaceType::pid) || (has_namespace(config.spec, NamespaceType::pid) &&
                                                        !has_own_namespace(config.spec, NamespaceType::pid));
}

/// Before a command comes that has more rights than those who are there were made with.
void let_command_in(const ContainerStore& store, const Container& container, const FirstProcess& first,
                    Onlookers command) {
  if (!shares_pids(container.config())) return let_in(notes_of(container, first.pid), command);
  const auto owner =
      owner_of_pids(store, open_namespace(namespace_path(first.pid, NamespaceType::pid), NamespaceType::pid));
  if (owner) let_in(notes_of(owner->container, owner->first), command);
}

/// Those of the container's pid namespace, the command among them.
KnownOnlookers onlookers_for(const ContainerStore& store, const Container& container,
                             const FirstProcess& first, const ExecPlan& plan) {
  const ContainerConfig& config = container.config();
  const Onlookers own =
      onlookers_of(config.spec.process.capabilities, plan.user_namespace, shares_pids(config));
  const Onlookers command = onlookers_with(plan.process.capabilities, plan.user_namespace);
  const bool brings_rights = command > onlookers_with(config.spec.process.capabilities, plan.user_namespace);
  if (brings_rights) let_command_in(store, container, first, command);
  return know_onlookers(notes_of(container, first.pid), own);
}

ExecPlan make_plan(const ContainerStore& store, const Container& container, const ExecRequest& request,
                   const FirstProcess& first_process, Supervision supervision) {
  const pid_t first = first_process.pid;
  const ContainerConfig& config = container.config();
  ExecPlan plan{.container_id = config.id,
                .process = plan_process(config, request),
                .confinement = request.privileged ? Confinement() : prepare_confinement(config.spec),
                .program = open_own_program(),
                .first_process = {},
                .user_namespace = !shares_namespace(first, NamespaceType::user),
                .time_namespace = has_namespace(config.spec, NamespaceType::time)};
  if (const auto& rdt = config.spec.linux_.intel_rdt)
    plan.resctrl.emplace(ResctrlGroup::open({class_folder(find_resctrl(), *rdt, config.id)}));
  plan.become.supervision = supervision;
  plan.become.preserved_fds = request.preserved_fds;
  if (plan.user_namespace) plan.become.ids = id_maps_of(first);
  if (request.privileged)
    give_all_rights(plan);
  else
    plan.confinement.listener =
        connect_seccomp_listener(config.spec.linux_, oci_state(container, "running", first));
  plan.onlookers = onlookers_for(store, container, first_process, plan);
  return plan;
}

/// Of a container that ends meanwhile, each step fails in its own way; what the user has to know is that.
Error explain(const Error& error, const UniqueFd& first_process, const std::string& name) {
  // Its namespaces go (ESRCH), and take no process any more (ENOMEM), a moment before its end can be seen
  const bool may_be_ending = error.error_number() == ESRCH || error.error_number() == ENOMEM;
  const std::chrono::milliseconds patience(may_be_ending ? 1000 : 0);
  if (!wait_for_end(first_process, patience)) return error;
  return Error::make(Errc::invalid, "container '{}' has just ended", name)
      .with_hint(fmt::format("start it with 'lay start {}'", name));
}

Process process_for_other(const Container& container, const ExecRequest& request) {
  open_first_process(container);  // says so when it has ended
  Process process = plan_process(container.config(), request);
  if (request.privileged) give_all_capabilities(process);
  return process;
}

/// `signals` may be null: see ExecPlan.
Executed execute_own(const ContainerStore& store, const Container& container, const ExecRequest& request,
                     Supervision supervision, const UniqueFd* signals) {
  const FirstProcess first = open_first_process(container);
  try {
    ExecPlan plan = make_plan(store, container, request, first, supervision);
    plan.first_process = sys::dup_fd(first.pidfd);
    plan.signals = signals;
    return execute(plan, container.config(), request, first.pid);
  } catch (const Error& error) {
    throw explain(error, first.pidfd, container.config().name);
  }
}

/// Reads what the command writes, and throws it away, until its end.
[[noreturn]] void hold_terminal(const ContainerStore& store, const Container& container, ExecRequest request,
                                ChildEnd caller) noexcept {
  try {
    request.on_note = [&](const std::string& note) { caller.send_note(note); };
    const SignalQueue signals;
    std::optional<Executed> executed;
    try {
      executed.emplace(execute_own(store, container, request, Supervision::by_parent, nullptr));
    } catch (const Error& error) {
      caller.send_error(error);
      ::_exit(1);
    }
    close_inherited();  // of which the command has what it keeps
    caller.report_executed();
    { const ChildEnd told = std::move(caller); }
    set_process_title("lay: terminal of a command in " + container.config().name);
    relay_until_end(executed->process.pidfd(), std::move(executed->stdio.parent), signals,
                    {.own_stdio = Joined::no, .terminal = true, .when_idle = release_idle_memory});
    executed->process.wait();
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

/// A terminal that nobody holds is one that hangs up (SIGHUP); so a process stays beside the command.
void exec_on_own_terminal(const ContainerStore& store, const Container& container,
                          const ExecRequest& request) {
  if (!container.config().runtime.is_own())
    throw Error(Errc::unsupported, "under another runtime a detached command has no terminal")
        .with_hint("leave out -t, or -d");
  Handshake handshake = make_handshake();
  if (detach(Descriptors::all)) {
    { const ParentEnd unused = std::move(handshake.parent); }
    hold_terminal(store, container, request, std::move(handshake.child));
  }
  { const ChildEnd unused = std::move(handshake.child); }
  for (const std::string& note : handshake.parent.wait_for_report())
    if (request.on_note) request.on_note(note);
}

void check_request(const Container& container, const ExecRequest& request) {
  if (request.args.empty()) throw Error(Errc::invalid, "there is no command to execute");
  check_preserved(request.preserved_fds);
  if (request.preserved_fds > 0 && !container.config().runtime.is_own())
    throw Error(Errc::unsupported, "another runtime gets no descriptors")
        .with_hint("leave out --preserve-fds");
  const std::string& name = container.config().name;
  if (is_paused(container))  // what is started in it would not move either
    throw Error::make(Errc::invalid, "container '{}' is paused", name)
        .with_hint(fmt::format("lay unpause {}", name));
}

}  // namespace

AttachedEnd exec_in(const ContainerStore& store, const Container& container, const ExecRequest& request) {
  check_request(container, request);
  if (!container.config().runtime.is_own())
    return exec_delegated(container, process_for_other(container, request), request);
  const SignalQueue signals;
  const UniqueFd ending = open_end_requests();
  Executed executed = execute_own(store, container, request, Supervision::by_parent, &ending);
  std::optional<Error> lost = relay_until_end(executed.process.pidfd(), std::move(executed.stdio.parent),
                                              signals, {.terminal = request.terminal});
  return {.exit_code = executed.process.wait(), .lost_output = std::move(lost)};
}

void exec_detached(const ContainerStore& store, const Container& container, const ExecRequest& request) {
  check_request(container, request);
  if (request.terminal) return exec_on_own_terminal(store, container, request);
  if (!container.config().runtime.is_own())
    return exec_delegated_detached(container, process_for_other(container, request));
  execute_own(store, container, request, Supervision::by_others, nullptr).process.leave();
}

}  // namespace lay::runner
