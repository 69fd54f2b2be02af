#pragma once

#include "base/unique_fd.h"
#include "runner/container.h"

namespace lay::runner {

/// The spec that a start of a container with this configuration would execute, as far as that is settled
/// before it starts: joined namespaces by their paths, settings as the kernel gets them, the user as numbers
/// and HOME as the files beneath `root` say. The user stays as it was asked for where `root` is null or a
/// mount lies over these files. Makes nothing. Throws what a start would: invalid for a container that does
/// not run, not_found for a user.
Spec explain_start(const ContainerStore& store, ContainerConfig config, const UniqueFd* root);

}  // namespace lay::runner
