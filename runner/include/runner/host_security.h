#pragma once

#include <string>
#include <vector>

#include "runner/spec.h"

namespace lay::runner {

/// One thing that can keep a container apart, as it is on this machine.
struct SecurityFact {
  std::string name;    ///< "landlock"
  std::string state;   ///< "yes", "no", "revision 7", "v1" …
  std::string detail;  ///< what it means here, or what is missing; may be empty
};

/// Looks at the kernel and at what lay itself may do: namespaces, seccomp and its actions, landlock, security
/// modules, the cgroup version of each controller, id-mapped mounts, key rings, capabilities that lay lacks.
/// Changes nothing.
std::vector<SecurityFact> survey_security();

/// What keeps other containers apart but not this one on this machine, a line each: namespaces that are the
/// host's, security modules that are not there, limits without a controller. Throws unsupported for what
/// `spec` asks for and a start would refuse.
std::vector<std::string> missing_protections(const Spec& spec);

}  // namespace lay::runner
