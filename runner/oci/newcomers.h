#pragma once

#include "base/unique_fd.h"
#include "process/namespaces.h"
#include "process/onlookers.h"
#include "runner/oci.h"

namespace lay::runner {

OnlookerNotes notes_of(const OciContainer& container);

/// let_in() of the running container of `store` to which a pid namespace (a file of nsfs) belongs; nothing
/// when there is none.
void let_into_pids(const OciStore& store, const UniqueFd& pid_namespace, Onlookers newcomer);

/// The same for a container that is being made with `plan`, when it joins one.
void let_container_in(const OciStore& store, const Spec& spec, const NamespacePlan& plan);

}  // namespace lay::runner
