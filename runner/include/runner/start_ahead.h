#pragma once

#include <memory>

#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

struct NamespacePlan;

/// What a container that is about to start needs of this machine, whatever its folder and image hold, made by
/// a thread while the caller does other work: its network namespace, which takes the kernel half a
/// millisecond, longer than all others together; lay's own program, whose mount the kernel lets go of slowly;
/// and what cgroups the machine has.
class StartAhead {
 public:
  /// Nothing: whoever needs it begins, or makes each thing when it is needed.
  StartAhead() noexcept;
  /// Begins, unless another runtime makes the container.
  explicit StartAhead(const ContainerConfig& config);
  StartAhead(StartAhead&& other) noexcept;
  StartAhead& operator=(StartAhead&& other) noexcept;
  ~StartAhead();

  bool has_begun() const { return making_ != nullptr; }
  /// Returns when the thread has ended, which it has to before this process makes another.
  void wait();
  /// Puts the network namespace in the plan, as one that is there already, where the plan has a new one of
  /// lay's user namespace. One that could not be made is left to clone3(2), whose error says why. True when
  /// the loopback device of a container without a network is up in it.
  bool hand_network_to(NamespacePlan& plan);
  /// open_own_program(). Throws why it cannot be had.
  UniqueFd take_program();

 private:
  struct Making;
  std::unique_ptr<Making> making_;
};

}  // namespace lay::runner
