#include "process/launch.h"

#include <fcntl.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "delegate/launch.h"
#include "process/first_process.h"
#include "process/handshake.h"
#include "process/init.h"
#include "process/namespaces.h"
#include "process/oom_score.h"
#include "process/own_program.h"
#include "process/process_steps.h"
#include "process/scheduling.h"
#include "process/start_plan.h"
#include "runner/lifecycle.h"
#include "security/sysctl.h"

namespace lay::runner {

namespace {

InputMode input_of(const ContainerConfig& config) {
  if (config.open_stdin) return InputMode::relayed;
  return has_namespace(config.spec, NamespaceType::user) ? InputMode::none : InputMode::inside;
}

/// What the kernel lets only the host's root do for a child in a user namespace, before it goes on.
void give_ids(const LaunchedContainer& launched, const ContainerIds& ids, const Handshake& handshake) {
  if (ids.are_new) write_id_maps(launched.process.pid(), ids.map);
  handshake.parent.let_go();
}

void prepare_for_user_namespace(InitPlan& plan, const IdMap& ids) {
  plan.rootfs.overlay.ids = &ids;
  fit_sysctls(plan.spec, ids);
  plan.prepared.emplace(prepare_rootfs(plan.spec, plan.rootfs));
  give_pipes_to(plan.stdio, ids.root_uid(), ids.root_gid());
}

std::optional<ChildProcess> clone_first(const NamespacePlan& namespaces, const CgroupGuard& cgroup,
                                        std::optional<int> oom_score) {
  OomScoreGuard score(oom_score);
  auto process = clone_into(namespaces, cgroup.birthplace());
  if (!process) score.keep();
  return process;
}

/// What this side does beside the child's own work, until that has executed its command.
void lead_to_exec(LaunchedContainer& launched, InitPlan& plan, const ContainerConfig& config,
                  const std::optional<ContainerIds>& ids, const Handshake& handshake,
                  const BeforeExec& before_exec) {
  if (ids) give_ids(launched, *ids, handshake);
  if (!ids) launched.cgroup.finish(config.spec.linux_.resources);
  launched.networks.connect(launched.process.pid());
  before_exec(launched);
  if (config.spec.process.terminal)
    launched.stdio = parent_side(handshake.parent.receive_descriptor(), input_of(config));
  if (ids) {
    raise_hard_limits(launched.process.pid(), config.spec.process.rlimits);
    apply_scheduling(launched.process.pid(), config.spec.process);
    handshake.parent.let_go();
  } else {
    handshake.parent.hand_over(launched.cgroup.open_entrances());
  }
  plan.program.reset();  // beside the child's last steps
  handshake.parent.wait_for_exec();
}

}  // namespace

LaunchedContainer launch(const ContainerStore& store, const Container& container, NetworkAhead network,
                         const BeforeExec& before_exec) {
  const ContainerConfig& config = container.config();
  check_preserved(config.first_run.preserved_fds);
  if (!config.runtime.is_own()) return launch_delegated(store, container, before_exec);
  if (!network.has_begun()) network = NetworkAhead(config);
  NamespacePlan namespaces = plan_namespaces(store, config);
  InitPlan plan{.container_id = config.id,
                .program = open_own_program(),
                .spec = final_spec(config),
                .network = config.network.mode,
                .preserved_fds = config.first_run.preserved_fds};
  plan.confinement = prepare_confinement(plan.spec, store.run() + "/seccomp");
  plan.confinement.listener = connect_seccomp_listener(plan.spec.linux_, oci_state(container, "creating", 0));
  if (const auto& rdt = plan.spec.linux_.intel_rdt)
    plan.resctrl.emplace(ResctrlGroup::create(find_resctrl(), *rdt, config.id));

  std::optional<Container> joined;
  if (config.network.mode == NetworkMode::container) joined.emplace(store.find(config.network.container));
  HostParts host = make_host_parts(store, container, joined ? &*joined : nullptr, plan.spec);
  plan.rootfs = std::move(host.rootfs);
  Stdio stdio;
  if (!config.spec.process.terminal) stdio = make_pipes(input_of(config));
  plan.stdio = std::move(stdio.child);

  if (namespaces.shared_memory) plan.rootfs.shared_memory = &namespaces.shared_memory;
  std::optional<ContainerIds> ids = acquire_ids(store.run(), config, namespaces);
  const Resources& resources = config.spec.linux_.resources;
  if (ids) {
    prepare_for_user_namespace(plan, ids->map);
    host.cgroup.finish(resources);  // it has to enter before it has ids
  }

  Handshake handshake = make_handshake();
  plan.has_loopback = network.hand_to(namespaces);
  auto process = clone_first(namespaces, host.cgroup, plan.spec.process.oom_score_adj);
  if (!process) {
    { const ParentEnd unused = std::move(handshake.parent); }
    run_init(plan, host.cgroup, handshake.child);
  }
  { const ChildEnd unused = std::move(handshake.child); }
  plan.stdio = {};
  plan.prepared.reset();
  plan.confinement.listener.reset();
  LaunchedContainer launched{std::move(host.points),   ids ? std::move(ids->leases) : std::vector<IdLease>(),
                             std::move(host.cgroup),   std::move(plan.resctrl),
                             std::move(host.networks), std::nullopt,
                             std::move(stdio.parent),  std::move(*process)};
  try {
    lead_to_exec(launched, plan, config, ids, handshake, before_exec);
  } catch (const Error&) {
    handshake.parent.throw_reported();  // what is missed of a child that has ended says less than its error
    throw;
  }
  return launched;
}

}  // namespace lay::runner
