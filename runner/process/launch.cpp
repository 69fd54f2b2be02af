#include "process/launch.h"

#include <fcntl.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/command.h"
#include "process/first_process.h"
#include "process/handshake.h"
#include "process/init.h"
#include "process/namespaces.h"
#include "process/oom_score.h"
#include "process/process_steps.h"
#include "rootfs/etc_files.h"
#include "security/sysctl.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxEtcFile = 1024 * 1024;

void write_file(const UniqueFd& dir, const std::string& name, std::string_view text) {
  const UniqueFd fd = sys::open_at(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
  sys::fchmod(fd, 0644);  // whatever the umask
  sys::write_all(fd, text);
}

std::string read_file(const UniqueFd& dir, const std::string& name) {
  const auto fd = sys::try_open_at(dir, name, O_RDONLY);
  return fd ? with_context("read " + name, [&] { return sys::read_all(*fd, kMaxEtcFile); }) : std::string();
}

/// The host's resolv.conf, or where it only names systemd-resolved on a loopback that the container cannot
/// reach, what that asks itself.
std::string host_resolver(HostLoopback loopback) {
  std::string text = read_file(sys::cwd(), "/etc/resolv.conf");
  if (loopback == HostLoopback::out_of_reach && asks_systemd_resolved(text))
    if (std::string asked = read_file(sys::cwd(), kSystemdResolvConf); !asked.empty()) return asked;
  return text;
}

/// The entries with the address that kHostGateway stands for.
std::vector<HostEntry> known_hosts(const NetworkConfig& network, const Attachment* attachment) {
  std::vector<HostEntry> hosts = network.resolver.hosts;
  for (HostEntry& entry : hosts) {
    if (entry.address != kHostGateway) continue;
    if (attachment != nullptr)
      entry.address = attachment->gateway;
    else if (network.mode == NetworkMode::host)
      entry.address = "127.0.0.1";
    else
      throw Error::make(Errc::invalid, "host entry '{}': without a network there is no way to the host",
                        entry.name)
          .with_hint("--network bridge");
  }
  return hosts;
}

void write_etc_files(const Container& container, const Attachment* attachment, const Container* joined) {
  const ContainerConfig& config = container.config();
  const UniqueFd& dir = container.dir();
  write_file(dir, "hostname", config.spec.hostname + "\n");
  if (joined != nullptr) {
    for (const char* name : {"hosts", "resolv.conf"}) write_file(dir, name, read_file(joined->dir(), name));
    return;
  }
  const ResolverConfig& resolver = config.network.resolver;
  const HostLoopback loopback =
      config.network.mode == NetworkMode::host ? HostLoopback::in_reach : HostLoopback::out_of_reach;
  if (resolver.hosts_file == EtcFile::made)
    write_file(dir, "hosts",
               hosts_text(config.spec.hostname, attachment == nullptr ? "" : attachment->address,
                          known_hosts(config.network, attachment)));
  if (resolver.resolver_file == EtcFile::made)
    write_file(dir, "resolv.conf", resolv_conf_text(host_resolver(loopback), resolver, loopback));
}

/// `resolver` is that of whoever wrote the files: the container whose network is joined, or itself.
RootfsPlan plan_rootfs(const Container& container, const ResolverConfig& resolver) {
  const ContainerConfig& config = container.config();
  RootfsPlan plan{.overlay = OverlayPlan{.lowers = config.lowers,
                                         .dir = container.path(),
                                         .is_volatile = container.is_ephemeral()}};
  const auto bind = [&](const std::string& name) {
    plan.files.push_back({.source = container.path() + "/" + name, .destination = "/etc/" + name});
  };
  if (resolver.hosts_file == EtcFile::made) bind("hosts");
  bind("hostname");
  if (resolver.resolver_file == EtcFile::made) bind("resolv.conf");
  return plan;
}

bool is_joined(NetworkMode mode) {
  return mode == NetworkMode::container || mode == NetworkMode::path;
}

void check_no_network_sysctl(const Spec& spec) {
  for (const auto& [key, value] : spec.linux_.sysctl)
    if (key.starts_with("net."))
      throw Error::make(Errc::invalid, "sysctl '{}' would change whoever has the network that is joined", key)
          .with_hint("leave it to whom the network is");
}

/// The spec as it is executed: what only this start knows is filled in.
Spec final_spec(const ContainerConfig& config) {
  Spec spec = config.spec;
  for (Namespace& entry : spec.linux_.namespaces)  // one that is joined is no longer the container's own
    if (const auto joined = config.joined.find(entry.type); joined != config.joined.end())
      entry.path = joined->second;
  if (spec.process.args.empty())
    throw Error(Errc::invalid, "there is no command to run").with_hint("name one, or set one in the image");
  check_sysctls(spec);
  if (is_joined(config.network.mode)) check_no_network_sysctl(spec);
  add_default(spec.process.env, "HOSTNAME", spec.hostname);
  if (spec.process.terminal) add_default(spec.process.env, "TERM", "xterm");
  return spec;
}

/// What the kernel lets only the host's root do for a child in a user namespace, before it goes on.
void give_ids(const LaunchedContainer& launched, const IdMap& ids, const Handshake& handshake) {
  write_id_maps(launched.process.pid(), ids);
  handshake.parent.let_go();
}

void prepare_for_user_namespace(InitPlan& plan, const IdMap& ids) {
  if (is_joined(plan.network))
    throw Error(Errc::unsupported,
                "a container with a user namespace of its own cannot join another's network")
        .with_hint("--userns host");
  plan.rootfs.overlay.ids = &ids;
  fit_sysctls(plan.spec, ids);
  plan.prepared.emplace(prepare_rootfs(plan.spec, plan.rootfs));
  give_pipes_to(plan.stdio, ids.root_uid(), ids.root_gid());
}

std::optional<ChildProcess> clone_first(const NamespacePlan& namespaces, const CgroupGuard& cgroup,
                                        std::optional<int> oom_score) {
  OomScoreGuard score(oom_score);
  std::optional<PidNamespaceForChildren> inside;
  if (namespaces.pid) inside.emplace(namespaces.pid);
  auto process = ChildProcess::clone(namespaces.clone_flags, cgroup.birthplace());
  if (!process) score.keep();
  return process;
}

UniqueFd open_network_of(const Container& joined) {
  const FirstProcess first = open_first_process(joined);
  return sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/net", first.pid), O_RDONLY);
}

}  // namespace

LaunchedContainer launch(const ContainerStore& store, const Container& container) {
  const ContainerConfig& config = container.config();
  NamespacePlan namespaces = plan_namespaces(store, config);
  const InputMode input = config.open_stdin ? InputMode::relayed : InputMode::none;
  InitPlan plan{.container_id = config.id, .spec = final_spec(config), .network = config.network.mode};
  plan.confinement = prepare_confinement(plan.spec, store.run() + "/seccomp");

  std::optional<Container> joined;
  if (config.network.mode == NetworkMode::container) {
    joined.emplace(store.find(config.network.container));
    plan.joined_network = open_network_of(*joined);
  }
  if (config.network.mode == NetworkMode::path)
    plan.joined_network = open_namespace(config.network.path, NamespaceType::network);
  ContainerNetworks networks = ContainerNetworks::reserve(store, container);
  const Container* names = joined ? &*joined : &container;  // whose /etc/hosts and /etc/resolv.conf it has
  plan.rootfs = plan_rootfs(container, names->config().network.resolver);
  MountPoints points = take_mount_points(store.run(), store.root() + "/containers", plan.spec, plan.rootfs);
  plan.rootfs.overlay.points = points.path;
  write_etc_files(container, networks.first(), joined ? &*joined : nullptr);
  networks.tell_names();
  CgroupGuard cgroup = CgroupGuard::create(cgroup_name_of(config), config.spec.linux_.resources);
  Stdio stdio;
  if (!config.spec.process.terminal) stdio = make_pipes(input);
  plan.stdio = std::move(stdio.child);

  plan.joined = std::move(namespaces.joined);
  if (namespaces.shared_memory) plan.rootfs.shared_memory = &namespaces.shared_memory;
  std::optional<ContainerIds> ids = acquire_ids(store.run(), config);
  if (ids) prepare_for_user_namespace(plan, ids->map);

  Handshake handshake = make_handshake();
  auto process = clone_first(namespaces, cgroup, plan.spec.process.oom_score_adj);
  if (!process) {
    { const ParentEnd unused = std::move(handshake.parent); }
    run_init(plan, cgroup, handshake.child);
  }
  { const ChildEnd unused = std::move(handshake.child); }
  plan.stdio = {};
  plan.prepared.reset();
  LaunchedContainer launched{std::move(points),       ids ? std::move(ids->leases) : std::vector<IdLease>(),
                             std::move(cgroup),       std::move(networks),
                             std::move(stdio.parent), std::move(*process)};
  if (ids) give_ids(launched, ids->map, handshake);
  launched.networks.connect(launched.process.pid());  // beside the child's own work
  if (config.spec.process.terminal) launched.stdio = parent_side(handshake.parent.receive_console(), input);
  if (ids) raise_hard_limits(launched.process.pid(), config.spec.process.rlimits);
  handshake.parent.let_go();
  handshake.parent.wait_for_exec();
  return launched;
}

}  // namespace lay::runner
