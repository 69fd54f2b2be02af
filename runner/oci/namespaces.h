#pragma once

#include "process/namespaces.h"
#include "runner/spec.h"

namespace lay::runner {

/// Opens what linux.namespaces names by path. Throws invalid, not_found.
NamespacePlan open_oci_namespaces(const Spec& spec);

}  // namespace lay::runner
