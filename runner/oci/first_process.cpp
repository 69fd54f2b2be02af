#include "oci/first_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "oci/store.h"
#include "process/command.h"
#include "process/namespaces.h"
#include "process/own_program.h"
#include "process/process.h"
#include "process/process_steps.h"
#include "process/pty.h"
#include "process/stdio_pipes.h"
#include "runner/network.h"
#include "security/id_map.h"
#include "security/sysctl.h"

namespace lay::runner {

namespace {

/// unix(7); through the folder's descriptor, for paths of sockets are short.
sockaddr_un address_in(const UniqueFd& dir) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("{}/{}", fd_path(dir), kOciSocket);
  std::memcpy(address.sun_path, path.data(), path.size());  // a short name and a number
  return address;
}

UniqueFd make_socket() {
  UniqueFd fd{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  if (!fd) throw Error::from_errno("make a socket");
  return fd;
}

/// Who starts the container, and the connection to its seccomp agent.
struct Starter {
  ChildEnd end;
  UniqueFd agent;
};

/// Whoever connects and is gone again without a word has changed its mind.
Starter wait_for_start(const UniqueFd& listener) {
  for (;;) {
    UniqueFd fd{sys::retry_eintr([&] { return ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC); })};
    if (!fd) throw Error::from_errno("wait for the start");
    ChildEnd starter(std::move(fd));
    if (auto fds = starter.take_over())
      return {std::move(starter), fds->empty() ? UniqueFd() : std::move(fds->front())};
  }
}

/// So that create fails for a command that is not there; the rest is seen when it is executed.
void require_command(const Process& process) {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  const std::string& command = process.args.front();
  for (const std::string& path : candidates(command, process.env))
    if (sys::try_open_in_root(root, path.starts_with('/') ? path : process.cwd + "/" + path, O_PATH)) return;
  throw Error::make(Errc::no_command, "exec: \"{}\": executable file not found in $PATH", command);
}

/// In a uts namespace that was joined, too: it is not the host's (open_oci_namespaces).
void set_names(const Spec& spec) {
  if (!spec.hostname.empty() && ::sethostname(spec.hostname.data(), spec.hostname.size()) < 0)
    throw Error::from_errno("set the hostname '{}'", spec.hostname);
  if (!spec.domainname.empty() && ::setdomainname(spec.domainname.data(), spec.domainname.size()) < 0)
    throw Error::from_errno("set the domain name '{}'", printable(spec.domainname));
}

/// The state as the container sees itself: its process has the number that it has there.
void run_hooks_inside(const OciFirstPlan& plan, const std::vector<Hook>& hooks, const char* kind,
                      OciStatus status) {
  if (hooks.empty()) return;
  Json state = plan.state;
  state["status"] = to_string(status);
  state["pid"] = ::getpid();
  run_hooks(hooks, kind, state, HookSide::container);
}

/// Returns its mounts, unless these were prepared.
std::vector<PlannedMount> make_root(const OciFirstPlan& plan, const CgroupGuard& cgroup,
                                    const ChildEnd& parent) {
  const auto before_pivot = [&] {
    if (!cgroup.is_finished()) enter_finished(parent);
    if (plan.namespaces.mount)
      parent.send_descriptor(sys::open_at(sys::cwd(), plan.rootfs.folder, O_PATH | O_DIRECTORY));
    parent.report_stage();  // for the hooks of the runtime's side
    parent.wait_for_parent();
    run_hooks_inside(plan, plan.hooks.create_container, "createContainer", OciStatus::creating);
  };
  if (!plan.prepared) return enter_rootfs(plan.spec, plan.rootfs, before_pivot);
  enter_prepared_rootfs(plan.spec, *plan.prepared, before_pivot);
  return {};
}

void take_console(const Spec& spec, const ChildEnd& parent) {
  if (!spec.process.terminal) return;
  const UniqueFd master = open_console(spec);
  take_terminal(master);
  parent.send_descriptor(master);
}

void leave_cgroups(const OciFirstPlan& plan, const std::vector<PlannedMount>& mounts) {
  if (!plan.cgroup_mounts.empty()) return bind_cgroups(plan.spec, plan.cgroup_mounts, mounts);
  if (has_own_namespace(plan.spec, NamespaceType::cgroup) && ::unshare(CLONE_NEWCGROUP) < 0)
    throw Error::from_errno("make a cgroup namespace");
  mount_cgroups(plan.spec, mounts);
}

/// All that create does.
void prepare(OciFirstPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent) {
  leave_caller();
  stand_on(std::move(plan.program));
  open_exec_label(plan.confinement.label);
  // In a user namespace the host's are not its root's
  if (!plan.prepared && !plan.spec.process.terminal) replace_null_streams();
  enter_time_namespace(plan.spec);
  if (cgroup.is_finished()) cgroup.enter();
  if (plan.resctrl) plan.resctrl->enter();
  if (plan.prepared) {
    parent.wait_for_parent();  // which gives it ids
    become_root_inside();
    make_ipc_namespace(plan.spec);
  }
  if (plan.new_keyring) join_session_keyring(plan.id);
  if (has_own_namespace(plan.spec, NamespaceType::network)) bring_loopback_up();
  write_sysctls(plan.spec);
  set_names(plan.spec);
  const std::vector<PlannedMount> mounts = make_root(plan, cgroup, parent);
  take_console(plan.spec, parent);
  leave_cgroups(plan, plan.prepared ? plan.prepared->mounts : mounts);
  require_command(plan.spec.process);
  outlive_supervisor();
  parent.report_stage();
  parent.wait_for_parent();  // which has written down that it is there
}

}  // namespace

void run_oci_first(OciFirstPlan& plan, const CgroupGuard& cgroup, ChildEnd parent) noexcept {
  run_child(parent, [&] {
    prepare(plan, cgroup, parent);
    { const ChildEnd done = std::move(parent); }
    Starter starter = wait_for_start(plan.listener);
    run_child(starter.end, [&] {
      if (plan.confinement.listener) plan.confinement.listener->socket = std::move(starter.agent);
      run_hooks_inside(plan, plan.hooks.start_container, "startContainer", OciStatus::created);
      become(plan.spec.process, plan.confinement, starter.end,
             {.supervision = Supervision::by_others,
              .has_callers_stdio = true,
              .is_scheduled = plan.prepared.has_value(),
              .preserved_fds = plan.preserved_fds,
              .ids = plan.rootfs.overlay.id_maps()});
    });
  });
}

UniqueFd listen_for_start(const UniqueFd& dir) {
  UniqueFd listener = make_socket();
  const sockaddr_un address = address_in(dir);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener.get(), 1) < 0)
    throw Error::from_errno("make the socket of the container's start");
  return listener;
}

ParentEnd connect_for_start(const UniqueFd& dir) {
  UniqueFd socket = make_socket();
  const sockaddr_un address = address_in(dir);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw Error::from_errno("reach the container's first process");
  return ParentEnd(std::move(socket));
}

bool is_waiting(const UniqueFd& dir) {
  return !FileLock::try_acquire(dir, kOciWaiting, LockMode::shared);
}

std::optional<UniqueFd> open_first_process(const OciRecord& record) {
  if (record.pid == 0 || record.boot_id != sys::boot_id()) return std::nullopt;
  auto pidfd = open_process(record.pid);
  if (!pidfd || start_time(record.pid) != record.pid_start_time) return std::nullopt;
  if (wait_for_end(*pidfd, std::chrono::milliseconds(0))) return std::nullopt;
  return pidfd;
}

}  // namespace lay::runner
