#pragma once

#include "process/launch.h"

namespace lay::runner {

/// As launch(), by the runtime that the container's configuration names. lay makes root, network and cgroups,
/// the other runtime the rest. The first process waits for Delegated::start(). Meanwhile the calling process
/// adopts orphans (PR_SET_CHILD_SUBREAPER): the first process is one.
LaunchedContainer launch_delegated(const ContainerStore& store, const Container& container,
                                   const BeforeExec& before_exec);

}  // namespace lay::runner
