#pragma once

#include <string>

#include "base/unique_fd.h"
#include "delegate/other_runtime.h"
#include "runner/container.h"

namespace lay::runner {

/// What another runtime keeps of a container while it runs, in RUN/delegated/<begin of its id>/:
///   config.json  the bundle; its root is mounted where only the runtime sees it
///   root/        the runtime's own state
///   log          the runtime's
///   pid          of the first process
///   console      the socket at which the terminal arrives
/// What is special about a runtime is told by its program's name (dialect.h).
/// Destroyed, it has the runtime delete the container, whatever state that is in, and removes the folder.
class Delegated {
 public:
  /// Makes the folder.
  static Delegated make(const std::string& run, const ContainerConfig& config);
  Delegated(Delegated&&) noexcept = default;
  Delegated& operator=(Delegated&&) = delete;
  ~Delegated();

  const std::string& folder() const { return folder_; }
  const UniqueFd& dir() const { return dir_; }
  /// What the runtime knows the container by: short, for some make a socket's path of it (unix(7), 108
  /// bytes).
  const std::string& id() const { return id_; }
  const OtherRuntime& runtime() const { return runtime_; }
  /// Lets it execute its command.
  void start() const { runtime_.run({"start", id_}); }

 private:
  Delegated(OtherRuntime runtime, std::string id, std::string folder, UniqueFd dir);
  OtherRuntime runtime_;
  std::string id_;
  std::string folder_;
  UniqueFd dir_;  ///< empty: moved away
};

/// Of a container that runs: the id in its runtime, and the runtime. Throws invalid when it has just ended.
std::string delegated_id(const ContainerConfig& config);
/// What whoever runs the container calls it: lay itself, or its runtime.
std::string runtime_id(const ContainerConfig& config);
OtherRuntime runtime_of(const ContainerConfig& config, const ContainerState& state);

/// What a supervisor that was killed has left.
void clear_delegated(const std::string& run, const ContainerConfig& config);

}  // namespace lay::runner
