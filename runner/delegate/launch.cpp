#include "delegate/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "delegate/console_socket.h"
#include "delegate/creator.h"
#include "process/first_process.h"
#include "process/start_plan.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxPidFile = 32;
constexpr std::size_t kMaxSaid = 16 * 1024;

void check_own_ids(const ContainerConfig& config) {
  if (has_namespace(config.spec, NamespaceType::user))
    throw Error(Errc::unsupported, "--userns: another runtime would need the layers to have other owners")
        .with_hint("leave it out, or leave out --runtime");
}

/// The name of its file in /proc/<pid>/ns: namespaces(7).
std::string file_name_of(NamespaceType type) {
  return type == NamespaceType::network ? "net" : name_of(type);
}

std::string namespace_path(const Container& container, NamespaceType type) {
  return fmt::format("/proc/{}/ns/{}", open_first_process(container).pid, file_name_of(type));
}

/// Namespaces of other containers, by path.
void settle_joined(const ContainerStore& store, const ContainerConfig& config, Spec& spec) {
  for (const auto& [type, id] : config.joined) {
    if (type == NamespaceType::ipc)
      throw Error(Errc::unsupported, "--ipc container: another runtime cannot share its /dev/shm")
          .with_hint("--ipc host shares both");
    const std::string path = namespace_path(store.find(id), type);
    for (Namespace& entry : spec.linux_.namespaces)
      if (entry.type == type) entry.path = path;
  }
}

void settle_network(const Container* joined, const NetworkConfig& network, Spec& spec) {
  for (Namespace& entry : spec.linux_.namespaces) {
    if (entry.type != NamespaceType::network) continue;
    if (joined != nullptr) entry.path = namespace_path(*joined, NamespaceType::network);
    if (network.mode == NetworkMode::path) entry.path = network.path;
  }
}

void settle_groups(const ContainerConfig& config, const Dialect& dialect, Spec& spec) {
  const CgroupName name = cgroup_name_of(config);
  const std::string path = "/" + name.parent + "/" + name.id;
  spec.linux_.cgroups_path = dialect.entry == GroupEntry::by_path ? path : "";
  if (!dialect.mounts_cgroups)
    std::erase_if(spec.mounts, [](const Mount& mount) { return mount.type == "cgroup"; });
}

std::vector<std::string> create_command(const Delegated& delegated, const ConsoleSocket* console) {
  const std::string& folder = delegated.folder();
  std::vector<std::string> words{"create", "--bundle", folder, "--pid-file", folder + "/pid"};
  if (console != nullptr) words.insert(words.end(), {"--console-socket", console->path()});
  words.push_back(delegated.id());
  return words;
}

/// The process that the runtime's `create` has left, which is this process's child now.
ChildProcess adopt_first(const Delegated& delegated) {
  const std::string text = sys::read_all(sys::open_at(delegated.dir(), "pid", O_RDONLY), kMaxPidFile);
  const auto pid = parse_number(std::string_view(text).substr(0, text.find('\n')));
  if (!pid || *pid == 0) throw Error::make(Errc::io, "its pid file has '{}'", printable(text));
  auto pidfd = open_process(static_cast<pid_t>(*pid));
  if (!pidfd) throw Error(Errc::io, "its first process has ended already");
  return {static_cast<pid_t>(*pid), std::move(*pidfd)};
}

/// What is in a pipe just now.
std::string read_waiting(const UniqueFd& pipe) {
  std::string text(kMaxSaid, '\0');
  const ssize_t count = pipe ? ::read(pipe.get(), text.data(), text.size()) : 0;
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

/// `errors`: this end of the container's standard error, until then the runtime's; empty with a terminal.
ChildProcess create(const CreatorPlan& plan, const CgroupGuard& cgroup, const Delegated& delegated,
                    const UniqueFd& errors) {
  Handshake handshake = make_handshake();
  const bool is_born_inside = plan.entry == GroupEntry::before_create;
  auto creator = ChildProcess::clone(CLONE_NEWNS, is_born_inside ? cgroup.birthplace() : nullptr);
  if (!creator) {
    { const ParentEnd unused = std::move(handshake.parent); }
    run_creator(plan, cgroup, handshake.child);
  }
  { const ChildEnd unused = std::move(handshake.child); }
  handshake.parent.wait_for_exec();
  if (const int code = creator->wait(); code != 0)
    throw delegated.runtime().failure({"create"}, code, read_waiting(errors));
  return adopt_first(delegated);
}

}  // namespace

LaunchedContainer launch_delegated(const ContainerStore& store, const Container& container) {
  const ContainerConfig& config = container.config();
  check_own_ids(config);
  const InputMode input = config.open_stdin ? InputMode::relayed : InputMode::none;
  const Dialect dialect = dialect_of(config.runtime.program, config.network.mode);
  CreatorPlan plan{.spec = final_spec(config), .entry = dialect.entry};
  std::optional<Container> joined;
  if (config.network.mode == NetworkMode::container) joined.emplace(store.find(config.network.container));
  settle_joined(store, config, plan.spec);
  settle_network(joined ? &*joined : nullptr, config.network, plan.spec);

  ContainerNetworks networks = ContainerNetworks::reserve(store, container);
  plan.rootfs = plan_rootfs(container, (joined ? *joined : container).config().network.resolver);
  MountPoints points = take_mount_points(store.run(), store.root() + "/containers", plan.spec, plan.rootfs);
  plan.rootfs.overlay.points = points.path;
  write_etc_files(container, networks.first(), joined ? &*joined : nullptr);
  networks.tell_names();
  CgroupGuard cgroup = CgroupGuard::create(cgroup_name_of(config), config.spec.linux_.resources);
  settle_groups(config, dialect, plan.spec);
  Delegated delegated = Delegated::make(store.run(), config);
  plan.config = delegated.folder() + "/config.json";
  std::optional<ConsoleSocket> console;
  Stdio stdio;
  if (config.spec.process.terminal)
    console.emplace(delegated.dir());
  else
    stdio = make_pipes(input);
  plan.stdio = std::move(stdio.child);
  plan.runtime = &delegated.runtime();
  plan.command = create_command(delegated, console ? &*console : nullptr);

  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) throw Error::from_errno("adopt orphans");
  ChildProcess process = create(plan, cgroup, delegated, stdio.parent.err);
  plan.stdio = {};
  LaunchedContainer launched{std::move(points),    {},
                             std::move(cgroup),    std::move(networks),
                             std::move(delegated), std::move(stdio.parent),
                             std::move(process)};
  launched.networks.connect(launched.process.pid());
  if (console) launched.stdio = parent_side(console->receive(), input);
  launched.delegated->runtime().run({"start", launched.delegated->id()});
  return launched;
}

}  // namespace lay::runner
