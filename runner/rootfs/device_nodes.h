#pragma once

#include "base/unique_fd.h"
#include "runner/spec.h"

namespace lay::runner {

struct IdMap;

/// Fills the fresh tmpfs that is mounted on /dev: the nodes of spec.linux_.devices, and the links that every
/// program expects (fd, stdin, stdout, stderr, ptmx, core). `dev` is its root. runtime-spec config-linux.md
/// "Default devices". With `ids`, owners are those of a user namespace; one that is not in the map is root.
/// Throws invalid for a device outside /dev or of an unknown type.
void fill_dev(const UniqueFd& dev, const Spec& spec, const IdMap* ids);

}  // namespace lay::runner
