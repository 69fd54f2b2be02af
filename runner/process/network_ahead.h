#pragma once

#include <pthread.h>

#include <memory>

#include "process/namespaces.h"

namespace lay::runner {

/// The new network namespace of a plan, made by a thread while the caller prepares the rest of a container:
/// it takes the kernel half a millisecond, longer than all other namespaces together.
class NetworkAhead {
 public:
  /// Begins, unless `plan` has no new one, or one that another user namespace than lay's shall own.
  explicit NetworkAhead(const NamespacePlan& plan);
  NetworkAhead(const NetworkAhead&) = delete;
  NetworkAhead& operator=(const NetworkAhead&) = delete;
  ~NetworkAhead();

  /// Puts it in the plan, as one that is there already. Where it could not be made it is left to clone3(2),
  /// whose error says why.
  void hand_to(NamespacePlan& plan);

 private:
  struct Making {
    pthread_t thread;
    int fd = -1;  ///< of nsfs, when the thread has ended; below 0: it could not be made
  };

  UniqueFd wait();

  std::unique_ptr<Making> making_;
};

}  // namespace lay::runner
