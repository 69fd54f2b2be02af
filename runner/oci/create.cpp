#include "oci/create.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/limits.h"
#include "oci/bundle.h"
#include "oci/first_process.h"
#include "oci/joined_root.h"
#include "oci/newcomers.h"
#include "oci/store.h"
#include "process/command.h"
#include "process/container_ids.h"
#include "process/fd_message.h"
#include "process/oom_score.h"
#include "process/own_program.h"
#include "process/pid_file.h"
#include "process/process_steps.h"
#include "process/scheduling.h"
#include "process/unix_socket.h"
#include "rootfs/rootfs.h"
#include "runner/lifecycle.h"
#include "security/id_map.h"
#include "security/seccomp_compile.h"

namespace lay::runner {

namespace {

void check_terminal(const Spec& spec, const OciCreateRequest& request, OciTerminal terminal) {
  const bool has_socket = !request.console_socket.empty();
  if (has_socket && !spec.process.terminal)
    throw Error(Errc::invalid, "there is a console socket, but process.terminal is not set");
  if (spec.process.terminal && !has_socket && terminal == OciTerminal::sent)
    throw Error(Errc::invalid, "process.terminal is set, but there is no console socket to send it to")
        .with_hint("--console-socket PATH");
}

OciFirstPlan plan_first(const OciStore& store, const OciCreateRequest& request, Bundle& bundle) {
  OciFirstPlan plan{.id = request.id,
                    .program = open_own_program(),
                    .spec = std::move(bundle.spec),
                    .preserved_fds = request.preserved_fds,
                    .new_keyring = request.new_keyring};
  plan.confinement = prepare_confinement(plan.spec, store.root() + kOciSeccomp);
  plan.rootfs.folder = plan.spec.root.path;
  if (request.moves_root) plan.rootfs.root_switch = RootSwitch::move;
  plan.namespaces = open_oci_namespaces(plan.spec);
  let_container_in(store, plan.spec, plan.namespaces);
  if (plan.namespaces.mount) plan.rootfs.root_switch = RootSwitch::chroot;
  plan.hooks = bundle.hooks;
  if (request.listen_fds != 0) {
    plan.spec.process.env.push_back(fmt::format("LISTEN_FDS={}", request.listen_fds));
    plan.spec.process.env.emplace_back("LISTEN_PID=1");
  }
  return plan;
}

/// Without a cgroup namespace a mount of the hierarchies would show the host's: the container gets its own
/// groups bound there.
bool shows_own_groups(const Spec& spec) {
  return find_cgroup_mount(spec) != nullptr && !has_namespace(spec, NamespaceType::cgroup);
}

/// Whether the groups and their limits have to be there before the process is: when the kernel may refuse
/// them, so that nothing has happened yet; when what it does counts against them; when it shows them; and
/// when its mounts would outlive it.
bool has_to_be_limited_first(const OciFirstPlan& plan) {
  const auto copies = [](const Mount& mount) {
    return std::ranges::find(mount.options, "tmpcopyup") != mount.options.end();
  };
  return may_be_refused(plan.spec.linux_.resources) || std::ranges::any_of(plan.spec.mounts, copies) ||
         shows_own_groups(plan.spec) || plan.namespaces.mount;
}

/// The ids of a user namespace that is there already. Maps beside its path can only say the same.
IdMap joined_ids(const Linux& linux_part, const UniqueFd& user_namespace) {
  IdMap ids = read_id_map(sys::dup_fd(user_namespace));
  const bool has_maps = !linux_part.uid_mappings.empty() || !linux_part.gid_mappings.empty();
  if (has_maps && (linux_part.uid_mappings != ids.uids || linux_part.gid_mappings != ids.gids))
    throw Error(Errc::invalid,
                "linux.uidMappings and gidMappings differ from those of the user namespace that is joined")
        .with_hint("leave them out");
  return ids;
}

/// The ids of a user namespace other than lay's.
std::optional<IdMap> ids_for(const OciFirstPlan& plan) {
  const Linux& linux_part = plan.spec.linux_;
  if (plan.namespaces.user) return joined_ids(linux_part, plan.namespaces.user);
  if (!has_own_namespace(plan.spec, NamespaceType::user)) return std::nullopt;
  check_id_maps(linux_part);
  return make_id_map(linux_part.uid_mappings, linux_part.gid_mappings);
}

/// config-linux.md, "Cgroup ownership": where the container may write its groups, they are its user's.
void give_groups(const Spec& spec, const std::optional<IdMap>& ids, const CgroupGuard& cgroup) {
  const Mount* mount = find_cgroup_mount(spec);
  if (mount == nullptr || !has_own_namespace(spec, NamespaceType::cgroup)) return;
  if (std::ranges::find(mount->options, "ro") != mount->options.end()) return;
  const std::uint32_t user = spec.process.user.uid;
  const auto owner = ids ? host_id(ids->uids, user) : std::optional(user);
  if (owner) cgroup.give_to(*owner);
}

void prepare_for_user_namespace(OciFirstPlan& plan, const IdMap& ids) {
  plan.rootfs.overlay.ids = &ids;
  fit_sysctls(plan.spec, ids);
  plan.prepared.emplace(prepare_rootfs(plan.spec, plan.rootfs));
}

/// One making of a container, from the folder to the waiting process.
class Creation {
 public:
  Creation(const OciStore& store, const OciCreateRequest& request, OciTerminal terminal)
      : store_(store),
        request_(request),
        bundle_(read_bundle(request.bundle, request.config, request.warn)),
        folder_(store, request.id),
        record_({.id = request.id, .bundle = bundle_.path, .created = std::chrono::system_clock::now()}) {
    check_terminal(bundle_.spec, request, terminal);
    check_preserved(request.preserved_fds);
    require_pid_folder(request.pid_file);
    note_what_lasts();
    save_config();
    save_record(folder_.dir(), record_);
  }

  /// A failure is the container's end. Its hooks come when its process and its groups are gone: runtime.md,
  /// "Lifecycle".
  OciCreated make() {
    try {
      return make_parts();
    } catch (const Error&) {
      take_root_away();
      if (record_.pid != 0) run_poststop_hooks(bundle_.hooks, record_, request_.warn);
      throw;
    }
  }

 private:
  OciCreated make_parts() {
    OciFirstPlan plan = plan_first(store_, request_, bundle_);
    plan.state = state();
    plan.confinement.listener = plan_seccomp_listener(plan.spec.linux_, state());
    if (plan.confinement.listener) require_seccomp_agent(record_.seccomp_agent);
    if (request_.uses_cgroups) claim_groups();
    const Resources& resources = plan.spec.linux_.resources;
    CgroupGuard cgroup = request_.uses_cgroups
                             ? CgroupGuard::begin(cgroup_of(record_), resources, ExistingGroup::joined)
                             : CgroupGuard::none();
    take_resctrl(plan);
    const std::optional<IdMap> ids = ids_for(plan);
    if (!cgroup.is_finished() && (ids || has_to_be_limited_first(plan))) cgroup.finish(resources);
    give_groups(plan.spec, ids, cgroup);
    if (shows_own_groups(plan.spec)) plan.cgroup_mounts = cgroup.clone_mounts();
    return with_memory_kills(cgroup, [&] { return make_process(plan, cgroup, ids); });
  }

  OciCreated make_process(OciFirstPlan& plan, CgroupGuard& cgroup, const std::optional<IdMap>& ids) {
    if (ids) prepare_for_user_namespace(plan, *ids);
    plan.listener = listen_for_start(folder_.dir());
    std::optional<FileLock> waiting(FileLock::acquire(folder_.dir(), kOciWaiting, LockMode::exclusive));

    Handshake handshake = make_handshake();
    OomScoreGuard score(plan.spec.process.oom_score_adj);
    auto process = clone_into(plan.namespaces, cgroup.birthplace());
    if (!process) {
      score.keep();
      folder_.leave_lock();
      { const ParentEnd unused = std::move(handshake.parent); }
      run_oci_first(plan, cgroup, std::move(handshake.child));
    }
    { const ChildEnd unused = std::move(handshake.child); }
    waiting.reset();  // the child's alone
    OciCreated created{.process = std::move(*process), .console = {}};
    if (ids) {
      if (!plan.namespaces.user) write_id_maps(created.process.pid(), *ids);
      handshake.parent.let_go();
    }
    note_process(created.process.pid());
    if (!cgroup.is_finished()) {  // beside the child's own work
      cgroup.finish(plan.spec.linux_.resources);
      handshake.parent.hand_over(cgroup.open_entrances());
    }
    if (plan.namespaces.mount) {
      note_joined_root(record_, plan.spec, handshake.parent.receive_descriptor());
      save_record(folder_.dir(), record_);
    }
    plan.program.reset();  // beside the child's own work
    finish(plan.spec, handshake.parent, created, ids.has_value());
    cgroup.leave();
    if (plan.resctrl) plan.resctrl->leave();
    folder_.keep();
    return created;
  }

  void save_config() const {
    AtomicFile file(folder_.dir(), "config.json");
    file.write(bundle_.config);
    file.publish();
  }

  /// After a failure, which matters more than what fails here.
  void take_root_away() const noexcept {
    try {
      unmount_joined_root(record_);
    } catch (const std::exception&) {
      // It stays mounted where it is
    }
  }

  Json state() const { return OciContainer::make_state(record_, OciStatus::creating); }

  /// From here on `delete` may take what runs in groups of that name: not before it is known to be nothing.
  void claim_groups() {
    require_no_processes(cgroup_of(record_));
    record_.has_cgroups = true;
    save_record(folder_.dir(), record_);
  }

  void take_resctrl(OciFirstPlan& plan) {
    const std::optional<IntelRdt>& rdt = plan.spec.linux_.intel_rdt;
    if (!rdt) return;
    with_context("linux.intelRdt", [&] {
      const std::string root = find_resctrl();
      record_.resctrl_made = ResctrlGroup::own_folders(root, *rdt, request_.id);
      save_record(folder_.dir(), record_);  // first: of what is killed here `delete` finds all
      plan.resctrl.emplace(ResctrlGroup::create(root, *rdt, request_.id));
    });
    record_.resctrl_folders = plan.resctrl->folders();
    record_.resctrl_made = plan.resctrl->made();
    save_record(folder_.dir(), record_);
  }

  void note_what_lasts() {
    record_.has_own_keyring = request_.new_keyring;
    if (const auto& rules = bundle_.spec.linux_.seccomp_rules; rules && has_agent(*rules))
      record_.seccomp_agent = rules->listener_path;
    CgroupName group = cgroup_of(request_.id, bundle_.spec);
    record_.cgroup_parent = std::move(group.parent);
    record_.cgroup_name = std::move(group.id);
    record_.has_late_hooks = !bundle_.hooks.poststart.empty() || !bundle_.hooks.poststop.empty();
    record_.rootfs = bundle_.spec.root.path;
    record_.annotations = bundle_.spec.annotations;
  }

  void note_process(pid_t pid) {
    record_.pid = pid;
    record_.pid_start_time = start_time(pid).value_or(0);
    record_.boot_id = sys::boot_id();
    save_record(folder_.dir(), record_);
  }

  void finish(const Spec& spec, const ParentEnd& child, OciCreated& created, bool has_ids) {
    child.wait_for_stage();  // all is mounted
    run_hooks(bundle_.hooks.prestart, "prestart", state());
    run_hooks(bundle_.hooks.create_runtime, "createRuntime", state());
    child.let_go();
    if (spec.process.terminal) {
      created.console = child.receive_descriptor();
      if (!request_.console_socket.empty()) {
        send_to_console_socket(request_.console_socket, created.console);
        created.console.reset();
      }
    }
    if (has_ids) {
      raise_hard_limits(created.process.pid(), spec.process.rlimits);
      apply_scheduling(created.process.pid(), spec.process);
    }
    child.wait_for_stage();  // only the command is left to do
    if (!request_.pid_file.empty()) write_pid_file(request_.pid_file, record_.pid);
    record_.is_made = true;
    save_record(folder_.dir(), record_);
    child.let_go();
  }

  const OciStore& store_;
  const OciCreateRequest& request_;
  Bundle bundle_;
  OciFolder folder_;
  OciRecord record_;
};

}  // namespace

OciCreated make_oci_container(const OciStore& store, const OciCreateRequest& request, OciTerminal terminal) {
  return with_context("create '" + printable(request.id) + "'",
                      [&] { return Creation(store, request, terminal).make(); });
}

void send_to_console_socket(const std::string& path, const UniqueFd& master) {
  with_context(fmt::format("console socket '{}'", printable(path)),
               [&] { send_fd(connect_unix_socket(path), "/dev/ptmx", master); });
}

void oci_create(const OciStore& store, const OciCreateRequest& request) {
  OciCreated created = make_oci_container(store, request, OciTerminal::sent);
  created.process.leave();
}

}  // namespace lay::runner
