#pragma once

#include "base/unique_fd.h"
#include "runner/spec.h"

namespace lay::runner {

/// Fills the fresh tmpfs that is mounted on /dev: the nodes of spec.linux_.devices, and the links that every
/// program expects (fd, stdin, stdout, stderr, ptmx, core). `dev` is its root. runtime-spec config-linux.md
/// "Default devices". Throws invalid for a device outside /dev or of an unknown type.
void fill_dev(const UniqueFd& dev, const Spec& spec);

}  // namespace lay::runner
