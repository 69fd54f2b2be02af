#include "runner/start_ahead.h"

#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <utility>

#include "cgroup/layout.h"
#include "process/namespaces.h"
#include "process/own_program.h"

namespace lay::runner {

namespace {

bool has_new_network(const ContainerConfig& config) {
  const NetworkMode mode = config.network.mode;
  return has_own_namespace(config.spec, NamespaceType::network) &&
         !has_namespace(config.spec, NamespaceType::user) && mode != NetworkMode::container &&
         mode != NetworkMode::path;
}

/// A thread that is made meanwhile gets no signal: they are the caller's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    ::sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  ::sigset_t before_{};
};

/// netdevice(7), which unlike rtnetlink(7) takes no memory.
bool set_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return socket && ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

struct StartAhead::Making {
  explicit Making(const ContainerConfig& config)
      : wants_network(has_new_network(config)), wants_loopback(config.network.mode == NetworkMode::none) {}
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;
  ~Making() { wait(); }

  void begin() {
    const SignalsBlocked blocked;
    is_running = ::pthread_create(&thread, nullptr, &Making::run, this) == 0;
  }

  void wait() {
    if (std::exchange(is_running, false)) ::pthread_join(thread, nullptr);
  }

  static void* run(void* argument) {
    auto& making = *static_cast<Making*>(argument);
    if (making.wants_network) making.make_network();
    making.look_at_machine();
    return nullptr;
  }

  /// Of the thread alone, which ends in it.
  void make_network() {
    if (::unshare(CLONE_NEWNET) < 0) return;
    has_loopback = wants_loopback && set_loopback_up();
    network = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }

  void look_at_machine() noexcept {
    try {
      find_cgroup_hierarchies();
      program = open_own_program();
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
      // Who needs it tries again, and says why it cannot be had
    }
  }

  const bool wants_network;
  const bool wants_loopback;
  pthread_t thread{};
  bool is_running = false;
  // What the thread leaves, each empty where it could not be made:
  UniqueFd network;  ///< its file of nsfs
  bool has_loopback = false;
  UniqueFd program;
};

StartAhead::StartAhead(const ContainerConfig& config) {
  if (!config.runtime.is_own()) return;
  making_ = std::make_unique<Making>(config);
  making_->begin();
}

StartAhead::StartAhead() noexcept = default;
StartAhead::StartAhead(StartAhead&& other) noexcept = default;
StartAhead& StartAhead::operator=(StartAhead&& other) noexcept = default;
StartAhead::~StartAhead() = default;

void StartAhead::wait() {
  if (making_) making_->wait();
}

bool StartAhead::hand_network_to(NamespacePlan& plan) {
  wait();
  const bool is_wanted =
      (plan.clone_flags & CLONE_NEWNET) != 0 && (plan.clone_flags & CLONE_NEWUSER) == 0 && !plan.user;
  if (!making_ || !making_->network || !is_wanted) return false;
  plan.join({.type = NamespaceType::network, .fd = std::move(making_->network)});
  plan.clone_flags &= ~std::uint64_t{CLONE_NEWNET};
  return making_->has_loopback;
}

UniqueFd StartAhead::take_program() {
  wait();
  return making_ && making_->program ? std::move(making_->program) : open_own_program();
}

}  // namespace lay::runner
