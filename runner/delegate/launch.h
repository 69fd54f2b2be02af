#pragma once

#include "process/launch.h"

namespace lay::runner {

/// As launch(), by the runtime that the container's configuration names. lay makes root, network and cgroups,
/// the other runtime the rest. The calling process adopts orphans from here on (PR_SET_CHILD_SUBREAPER): the
/// container's first process is one.
LaunchedContainer launch_delegated(const ContainerStore& store, const Container& container);

}  // namespace lay::runner
