#include "process/network_ahead.h"

#include <fcntl.h>
#include <sched.h>

#include <utility>

namespace lay::runner {

namespace {

/// Of the calling thread alone, which ends in it. Allocates nothing: malloc(3) would give the thread a heap
/// of its own.
int make_network_namespace() {
  if (::unshare(CLONE_NEWNET) < 0) return -1;
  return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

bool is_new_and_ours(const NamespacePlan& plan) {
  const bool is_new = (plan.clone_flags & CLONE_NEWNET) != 0;
  return is_new && !plan.user && (plan.clone_flags & CLONE_NEWUSER) == 0;
}

}  // namespace

NetworkAhead::NetworkAhead(const NamespacePlan& plan) {
  if (!is_new_and_ours(plan)) return;
  making_ = std::make_unique<Making>();
  const auto make = [](void* making) -> void* {
    static_cast<Making*>(making)->fd = make_network_namespace();
    return nullptr;
  };
  if (::pthread_create(&making_->thread, nullptr, make, making_.get()) != 0)
    making_.reset();  // clone3 makes it
}

NetworkAhead::~NetworkAhead() {
  wait();
}

UniqueFd NetworkAhead::wait() {
  const std::unique_ptr<Making> making = std::move(making_);
  if (!making) return {};
  ::pthread_join(making->thread, nullptr);
  return UniqueFd(making->fd);
}

void NetworkAhead::hand_to(NamespacePlan& plan) {
  UniqueFd made = wait();
  if (!made) return;
  plan.join({.type = NamespaceType::network, .fd = std::move(made)});
  plan.clone_flags &= ~std::uint64_t{CLONE_NEWNET};
}

}  // namespace lay::runner
