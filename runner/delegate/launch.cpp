#include "delegate/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "delegate/adopt.h"
#include "delegate/asked.h"
#include "delegate/console_socket.h"
#include "delegate/creator.h"
#include "process/first_process.h"
#include "process/namespaces.h"
#include "process/relay.h"
#include "process/start_plan.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxSaid = 16 * 1024;
constexpr std::chrono::seconds kPatience{60};

void check_own_ids(const ContainerConfig& config) {
  if (has_namespace(config.spec, NamespaceType::user))
    throw Error(Errc::unsupported, "--userns: another runtime would need the layers to have other owners")
        .with_hint("leave it out, or leave out --runtime");
}

/// The name of its file in /proc/<pid>/ns: namespaces(7).
std::string file_name_of(NamespaceType type) {
  return type == NamespaceType::network ? "net" : name_of(type);
}

/// A namespace that is joined, by a path that leads to it as long as this process has it open.
class JoinedNamespaces {
 public:
  std::string path_of(const Container& container, NamespaceType type) {
    const FirstProcess first = open_first_process(container);
    fds_.push_back(
        sys::open_at(sys::cwd(), fmt::format("/proc/{}/ns/{}", first.pid, file_name_of(type)), O_RDONLY));
    if (wait_for_end(first.pidfd, std::chrono::milliseconds(0)))  // the number might be another's by now
      throw Error::make(Errc::invalid, "container '{}' has ended", container.config().name);
    return fmt::format("/proc/{}/fd/{}", ::getpid(), fds_.back().get());
  }

 private:
  std::vector<UniqueFd> fds_;
};

void set_path(Spec& spec, NamespaceType type, const std::string& path) {
  for (Namespace& entry : spec.linux_.namespaces)
    if (entry.type == type) entry.path = path;
}

/// Namespaces of other containers.
void settle_joined(const ContainerStore& store, const ContainerConfig& config, JoinedNamespaces& joined,
                   Spec& spec) {
  for (const auto& [type, id] : config.joined) {
    if (type == NamespaceType::ipc)
      throw Error(Errc::unsupported, "--ipc container: another runtime cannot share its /dev/shm")
          .with_hint("--ipc host shares both");
    const Container other = store.find(id);
    check_joinable(config, other.config(), type);
    set_path(spec, type, joined.path_of(other, type));
  }
}

void settle_groups(const ContainerConfig& config, const Dialect& dialect, Spec& spec) {
  const CgroupName name = cgroup_name_of(config);
  const std::string path = "/" + name.parent + "/" + name.id;
  spec.linux_.cgroups_path = dialect.entry == GroupEntry::before_create ? "" : path;
}

std::vector<std::string> create_command(const Delegated& delegated, const ConsoleSocket* console) {
  const std::string& folder = delegated.folder();
  std::vector<std::string> words{"create", "--bundle", folder, "--pid-file", folder + "/pid"};
  if (console != nullptr) words.insert(words.end(), {"--console-socket", console->path()});
  words.push_back(delegated.id());
  return words;
}

/// What is left of the runtime in the container's groups goes with these.
[[noreturn]] void give_up(const ChildProcess& creator, Errc code, const char* why) {
  send_signal(creator.pidfd(), SIGKILL);
  throw Error::make(code, "the runtime's create {}, and was killed", why)
      .with_hint("lay bundle IMAGE DIR makes what it can be tried with by hand");
}

/// Waits until the runtime's `create` has ended. What it writes to what will be the container's streams is
/// its own, and goes no further; returns the end of it. Throws cancelled when lay is asked to end.
std::string listen_until_end(const ChildProcess& creator, const ParentStdio& stdio) {
  const UniqueFd end_requests = open_end_requests();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::string said;
  std::array<char, kMaxSaid> buffer;
  std::array<::pollfd, 4> entries{{{.fd = creator.pidfd().get(), .events = POLLIN, .revents = 0},
                                   {.fd = stdio.out.get(), .events = POLLIN, .revents = 0},
                                   {.fd = stdio.err.get(), .events = POLLIN, .revents = 0},
                                   {.fd = end_requests.get(), .events = POLLIN, .revents = 0}}};
  for (bool has_ended = false; !has_ended;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ready = sys::retry_eintr(
        [&] { return ::poll(entries.data(), entries.size(), std::max(0, static_cast<int>(left.count()))); });
    if (ready < 0) throw Error::from_errno("wait for the runtime");
    has_ended = entries[0].revents != 0;
    // Also of one that always has something to say
    if (!has_ended && left.count() <= 0) give_up(creator, Errc::busy, "took longer than a minute");
    if (!has_ended && entries[3].revents != 0) give_up(creator, Errc::cancelled, "was not waited for");
    for (const std::size_t i : {1U, 2U}) {
      const ssize_t count = entries[i].revents != 0 ? ::read(entries[i].fd, buffer.data(), buffer.size()) : 0;
      if (count > 0) said = std::string(buffer.data(), static_cast<std::size_t>(count));
      if (count <= 0 && entries[i].revents != 0) entries[i].fd = -1;
    }
  }
  return said;
}

/// `stdio`: this side of the container's streams; empty with a terminal.
ChildProcess create(const CreatorPlan& plan, const CgroupGuard& cgroup, const Delegated& delegated,
                    const ParentStdio& stdio) {
  const OrphansAdopted adopted;
  Handshake handshake = make_handshake();
  const bool is_born_inside = plan.entry != GroupEntry::by_path;
  auto creator = ChildProcess::clone(CLONE_NEWNS, is_born_inside ? cgroup.birthplace() : nullptr);
  if (!creator) {
    { const ParentEnd unused = std::move(handshake.parent); }
    run_creator(plan, cgroup, handshake.child);
  }
  { const ChildEnd unused = std::move(handshake.child); }
  handshake.parent.wait_for_exec();
  const std::string said = listen_until_end(*creator, stdio);
  if (const int code = creator->wait(); code != 0) throw delegated.runtime().failure({"create"}, code, said);
  return adopt_process(delegated.dir(), "pid");
}

}  // namespace

LaunchedContainer launch_delegated(const ContainerStore& store, const Container& container,
                                   const BeforeExec& before_exec) {
  const ContainerConfig& config = container.config();
  check_own_ids(config);
  check_asked(config);
  const InputMode input = config.open_stdin ? InputMode::relayed : InputMode::none;
  const Dialect dialect = dialect_of(config.runtime.program, config.network.mode);
  CreatorPlan plan{.spec = final_spec(config), .entry = dialect.entry};
  std::optional<Container> joined;
  if (config.network.mode == NetworkMode::container) joined.emplace(store.find(config.network.container));
  JoinedNamespaces namespaces;
  settle_joined(store, config, namespaces, plan.spec);
  if (joined)
    set_path(plan.spec, NamespaceType::network, namespaces.path_of(*joined, NamespaceType::network));
  if (config.network.mode == NetworkMode::path)
    set_path(plan.spec, NamespaceType::network, config.network.path);

  HostParts host = make_host_parts(store, container, joined ? &*joined : nullptr, plan.spec);
  host.cgroup.finish(config.spec.linux_.resources);
  plan.rootfs = std::move(host.rootfs);
  settle_groups(config, dialect, plan.spec);
  fit_spec(dialect, plan.spec);
  Delegated delegated = Delegated::make(store.run(), config);
  plan.config = delegated.folder() + "/config.json";
  std::optional<ConsoleSocket> console;
  Stdio stdio;
  if (config.spec.process.terminal)
    console.emplace(delegated.dir(), "console");
  else
    stdio = make_pipes(input_for_others(input));
  plan.stdio = std::move(stdio.child);
  plan.runtime = &delegated.runtime();
  plan.command = create_command(delegated, console ? &*console : nullptr);

  ChildProcess process =
      with_memory_kills(host.cgroup, [&] { return create(plan, host.cgroup, delegated, stdio.parent); });
  plan.stdio = {};
  LaunchedContainer launched{std::move(host.points),   {},
                             std::move(host.cgroup),   std::nullopt,
                             std::move(host.networks), std::move(delegated),
                             std::move(stdio.parent),  std::move(process)};
  launched.networks.connect(launched.process.pid());
  before_exec(launched);
  if (console) launched.stdio = parent_side(console->receive(), input);
  return launched;
}

}  // namespace lay::runner
