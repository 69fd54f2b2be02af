#include "process/start_plan.h"

#include <fcntl.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/command.h"
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

/// Whose network it is that `joined` has, perhaps joined itself: `behind` keeps that one. Null when that is
/// gone, and its files with it.
const Container* owner_of_network(const ContainerStore& store, const Container* joined,
                                  std::optional<Container>& behind) {
  while (joined != nullptr && joined->config().network.mode == NetworkMode::container) {
    try {
      behind = store.find(joined->config().network.container);
      joined = &*behind;
    } catch (const Error& error) {
      if (error.code() != Errc::not_found) throw;
      joined = nullptr;
    }
  }
  return joined;
}

void check_no_network_sysctl(const Spec& spec) {
  for (const auto& [key, value] : spec.linux_.sysctl)
    if (key.starts_with("net."))
      throw Error::make(Errc::invalid, "sysctl '{}' would change whoever has the network that is joined", key)
          .with_hint("leave it to whom the network is");
}

}  // namespace

void write_etc_files(const Container& container, const Attachment* attachment, const Container* joined) {
  const ContainerConfig& config = container.config();
  const UniqueFd& dir = container.dir();
  write_file(dir, "hostname", config.spec.hostname + "\n");
  if (joined != nullptr) return;
  const ResolverConfig& resolver = config.network.resolver;
  const HostLoopback loopback =
      config.network.mode == NetworkMode::host ? HostLoopback::in_reach : HostLoopback::out_of_reach;
  if (resolver.hosts_file == EtcFile::made)
    write_file(
        dir, "hosts",
        hosts_text(config.spec.hostname, attachment == nullptr ? "" : attachment->address,
                   known_hosts(config.network, attachment),
                   config.network.mode == NetworkMode::host ? read_file(sys::cwd(), "/etc/hosts") : ""));
  if (resolver.resolver_file == EtcFile::made)
    write_file(dir, "resolv.conf", resolv_conf_text(host_resolver(loopback), resolver, loopback));
}

RootfsPlan plan_rootfs(const Container& container, const Container* joined) {
  const ContainerConfig& config = container.config();
  RootfsPlan plan{.overlay = OverlayPlan{.lowers = config.lowers,
                                         .dir = container.path(),
                                         .is_volatile = container.is_ephemeral()}};
  // The files of the container whose network is joined, and no copies: others that come and go are told there
  const Container& of_network = joined != nullptr ? *joined : container;
  const ResolverConfig& resolver = of_network.config().network.resolver;
  const auto bind = [&](const Container& from, const std::string& name) {
    plan.files.push_back({.source = from.path() + "/" + name, .destination = "/etc/" + name});
  };
  if (resolver.hosts_file == EtcFile::made) bind(of_network, "hosts");
  bind(container, "hostname");
  if (resolver.resolver_file == EtcFile::made) bind(of_network, "resolv.conf");
  return plan;
}

bool is_joined(NetworkMode mode) {
  return mode == NetworkMode::container || mode == NetworkMode::path;
}

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

HostParts make_host_parts(const ContainerStore& store, const Container& container, const Container* joined,
                          const Spec& spec) {
  ContainerNetworks networks = ContainerNetworks::reserve(store, container);
  std::optional<Container> behind;
  joined = owner_of_network(store, joined, behind);
  RootfsPlan rootfs = plan_rootfs(container, joined);
  MountPoints points = take_mount_points(store.run(), store.root() + "/containers", spec, rootfs);
  rootfs.overlay.points = points.path;
  write_etc_files(container, networks.first(), joined);
  networks.tell_names();
  return {.networks = std::move(networks),
          .rootfs = std::move(rootfs),
          .points = std::move(points),
          .cgroup = CgroupGuard::begin(cgroup_name_of(container.config()),
                                       container.config().spec.linux_.resources)};
}

Json oci_state(const Container& container, const std::string& status, pid_t pid) {
  const ContainerConfig& config = container.config();
  return {{"ociVersion", config.spec.oci_version},
          {"id", config.id},
          {"status", status},
          {"pid", pid},
          {"bundle", container.path()},
          {"annotations", config.spec.annotations}};
}

}  // namespace lay::runner
