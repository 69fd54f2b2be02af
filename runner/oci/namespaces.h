#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "process/process.h"
#include "runner/spec.h"

namespace lay::runner {

/// How a container of a bundle comes to its namespaces; those with descriptors exist already.
struct OciNamespaces {
  std::uint64_t clone_flags = 0;  ///< of new ones, without cgroup and time: they are made later
  UniqueFd pid;                   ///< to be born in
  std::vector<UniqueFd> joined;   ///< entered by the child
};

/// Opens what linux.namespaces names by path. Throws invalid, not_found; unsupported for user and time.
OciNamespaces open_oci_namespaces(const Spec& spec);

/// A child in the new namespaces and those of user and pid; empty in the child.
std::optional<ChildProcess> clone_into(const OciNamespaces& namespaces, const UniqueFd* birthplace);

}  // namespace lay::runner
