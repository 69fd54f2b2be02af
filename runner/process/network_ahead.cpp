#include "runner/network_ahead.h"

#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "process/namespaces.h"

namespace lay::runner {

struct NetworkAhead::Making {
  Making() = default;
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;
  ~Making() { wait(); }

  void wait() {
    if (std::exchange(is_running, false)) ::pthread_join(thread, nullptr);
  }

  pthread_t thread{};
  bool is_running = false;
  bool wants_loopback = false;
  // What the thread leaves:
  UniqueFd made;  ///< its file of nsfs; empty: it could not be made
  bool has_loopback = false;
};

namespace {

bool is_new_and_ours(const ContainerConfig& config) {
  const NetworkMode mode = config.network.mode;
  return config.runtime.is_own() && has_own_namespace(config.spec, NamespaceType::network) &&
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

NetworkAhead::NetworkAhead(const ContainerConfig& config) {
  if (!is_new_and_ours(config)) return;
  making_ = std::make_unique<Making>();
  making_->wants_loopback = config.network.mode == NetworkMode::none;
  // Of the thread alone, which ends in it. Allocates nothing: malloc(3) would give it a heap of its own.
  const auto make = [](void* argument) -> void* {
    auto& making = *static_cast<Making*>(argument);
    if (::unshare(CLONE_NEWNET) < 0) return nullptr;
    making.has_loopback = making.wants_loopback && set_loopback_up();
    making.made = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    return nullptr;
  };
  const SignalsBlocked blocked;
  making_->is_running = ::pthread_create(&making_->thread, nullptr, make, making_.get()) == 0;
}

NetworkAhead::NetworkAhead() noexcept = default;
NetworkAhead::NetworkAhead(NetworkAhead&& other) noexcept = default;
NetworkAhead& NetworkAhead::operator=(NetworkAhead&& other) noexcept = default;
NetworkAhead::~NetworkAhead() = default;

void NetworkAhead::wait() {
  if (making_) making_->wait();
}

bool NetworkAhead::hand_to(NamespacePlan& plan) {
  wait();
  const std::unique_ptr<Making> making = std::move(making_);
  const bool is_wanted =
      (plan.clone_flags & CLONE_NEWNET) != 0 && (plan.clone_flags & CLONE_NEWUSER) == 0 && !plan.user;
  if (!making || !making->made || !is_wanted) return false;
  plan.join({.type = NamespaceType::network, .fd = std::move(making->made)});
  plan.clone_flags &= ~std::uint64_t{CLONE_NEWNET};
  return making->has_loopback;
}

}  // namespace lay::runner
