#include "oci/newcomers.h"

#include "oci/first_process.h"

namespace lay::runner {

OnlookerNotes notes_of(const OciContainer& container) {
  return {.folder = container.dir(), .lock = ".", .first = container.record().pid};
}

void let_into_pids(const OciStore& store, const UniqueFd& pid_namespace, Onlookers newcomer) {
  if (newcomer == Onlookers::blind) return;
  for (const OciContainer& container : store.list())
    if (open_first_process(container.record()) && is_in_pids(container.record().pid, pid_namespace) &&
        has_own_namespace(container.spec(), NamespaceType::pid))
      return let_in(notes_of(container), newcomer);
}

void let_container_in(const OciStore& store, const Spec& spec, const NamespacePlan& plan) {
  if (const UniqueFd* pids = joined_pids(plan))
    let_into_pids(store, *pids, onlookers_with(spec.process.capabilities, has_user_namespace(plan)));
}

}  // namespace lay::runner
