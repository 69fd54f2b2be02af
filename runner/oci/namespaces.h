#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "process/namespaces.h"
#include "process/process.h"
#include "runner/spec.h"

namespace lay::runner {

/// How a container of a bundle comes to its namespaces; those with descriptors exist already.
struct OciNamespaces {
  std::uint64_t clone_flags = 0;        ///< of new ones, without cgroup and time: they are made later
  UniqueFd user;                        ///< to be born in, and to own the new ones
  std::vector<JoinedNamespace> joined;  ///< all others to be born in
};

/// Opens what linux.namespaces names by path; the user namespace in which lay is itself is none to enter.
/// Throws invalid, not_found.
OciNamespaces open_oci_namespaces(const Spec& spec);

/// A child in all of them; empty in the child.
std::optional<ChildProcess> clone_into(const OciNamespaces& namespaces, const UniqueFd* birthplace);

}  // namespace lay::runner
