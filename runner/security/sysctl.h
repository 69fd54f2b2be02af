#pragma once

#include "runner/spec.h"

namespace lay::runner {

/// Throws invalid for a sysctl of the spec that is not confined to one of the container's own namespaces, and
/// would so set the host's; a key that is a path ("../") is none.
void check_sysctls(const Spec& spec);

/// In the child, in its new namespaces, while the host's /proc is still mounted: what is written there counts
/// for the namespaces of the writer. After the container's root is entered its /proc/sys is read-only.
void write_sysctls(const Spec& spec);

}  // namespace lay::runner
