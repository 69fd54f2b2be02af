#pragma once

#include <memory>

#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

struct NamespacePlan;

/// The network namespace of a container that is about to start, made by a thread while the caller does other
/// work: it takes the kernel half a millisecond, longer than all other namespaces together.
class NetworkAhead {
 public:
  /// None: whoever needs it begins one, or leaves it to clone3(2).
  NetworkAhead() noexcept;
  /// Begins, unless the container has no new one, or one that another user namespace than lay's shall own, or
  /// another runtime makes it.
  explicit NetworkAhead(const ContainerConfig& config);
  NetworkAhead(NetworkAhead&& other) noexcept;
  NetworkAhead& operator=(NetworkAhead&& other) noexcept;
  ~NetworkAhead();

  bool has_begun() const { return making_ != nullptr; }
  /// Returns when the thread has ended, which it has to before this process makes another.
  void wait();
  /// Puts it in the plan, as one that is there already, where the plan has a new one of lay's user namespace.
  /// What could not be made is left to clone3(2), whose error says why. True when the loopback device of a
  /// container without a network is up in it.
  bool hand_to(NamespacePlan& plan);

 private:
  struct Making;
  std::unique_ptr<Making> making_;
};

}  // namespace lay::runner
