#pragma once

#include <string>
#include <vector>

#include "cgroup/cgroup.h"
#include "delegate/dialect.h"
#include "delegate/other_runtime.h"
#include "process/handshake.h"
#include "process/stdio_pipes.h"
#include "rootfs/rootfs.h"
#include "runner/spec.h"

namespace lay::runner {

/// What the process needs that makes a bundle and becomes the other runtime's `create`. Values and
/// descriptors only.
struct CreatorPlan {
  Spec spec;
  RootfsPlan rootfs;
  GroupEntry entry = GroupEntry::by_path;
  std::string config;  ///< path of the config.json that it writes
  const OtherRuntime* runtime = nullptr;
  std::vector<std::string> command;  ///< of the runtime
  ChildStdio stdio;                  ///< empty with a terminal
};

/// The child, born in a mount namespace of its own, which goes with the runtime's command: what it mounts
/// lives on in the container alone. What fails is sent to the parent.
[[noreturn]] void run_creator(const CreatorPlan& plan, const CgroupGuard& cgroup,
                              const ChildEnd& parent) noexcept;

}  // namespace lay::runner
