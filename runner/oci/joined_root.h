#pragma once

#include "base/unique_fd.h"
#include "runner/oci.h"

namespace lay::runner {

/// Writes down, before anything else can fail, what unmount_joined_root() needs: `root` is the container's
/// root, as it is mounted in the mount namespace that the container joins.
void note_joined_root(OciRecord& record, const Spec& spec, const UniqueFd& root);

/// Takes the root of a container that joined a mount namespace away from there, with all that is mounted in
/// it. Nothing is to do when the namespace is gone, or the mount on the root's place has another number.
void unmount_joined_root(const OciRecord& record);

/// The root of a process whose mount namespace has another.
UniqueFd open_root_of(pid_t pid);

}  // namespace lay::runner
