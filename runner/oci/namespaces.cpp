#include "oci/namespaces.h"

namespace lay::runner {

NamespacePlan open_oci_namespaces(const Spec& spec) {
  NamespacePlan plan;
  for (const Namespace& entry : spec.linux_.namespaces) {
    if (entry.path.empty())
      plan.clone_flags |= cloned_flag_of(entry.type);
    else
      plan.join({.type = entry.type, .fd = open_namespace(entry.path, entry.type)});
  }
  return plan;
}

}  // namespace lay::runner
