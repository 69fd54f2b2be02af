#pragma once

#include <optional>
#include <vector>

#include "process/namespaces.h"
#include "runner/container.h"
#include "security/id_map.h"
#include "security/id_ranges.h"

namespace lay::runner {

/// The ids of one run of a container in a user namespace other than lay's.
struct ContainerIds {
  IdMap map;
  std::vector<IdLease> leases;  ///< held until the run is over
  bool are_new = true;          ///< false: of a namespace that is joined, and has its maps
};

/// Empty without such a namespace. `namespaces` is the start's plan. Leases ids where the spec leaves their
/// choice to this start. The calling process must have one thread. `run` is RUN.
std::optional<ContainerIds> acquire_ids(const std::string& run, const ContainerConfig& config,
                                        const NamespacePlan& namespaces);

/// Settings of `spec` that the kernel takes only for ids that are in the map: the default of
/// net.ipv4.ping_group_range is cut to the last group.
void fit_sysctls(Spec& spec, const IdMaps& maps);

}  // namespace lay::runner
