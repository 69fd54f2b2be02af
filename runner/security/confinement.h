#pragma once

#include <optional>

#include "runner/spec.h"
#include "security/host_labels.h"
#include "security/landlock.h"
#include "security/seccomp.h"
#include "security/seccomp_listener.h"

namespace lay::runner {

/// What the first process of a container, and those that exec starts, have in common beyond their namespaces,
/// most of which they lock themselves into at last.
struct Confinement {
  SeccompFilter seccomp;
  std::optional<SeccompListener> listener;  ///< connected by whoever starts a process: seccomp_listener.h
  std::optional<LandlockRules> landlock;
  ExecLabel label;
  std::optional<PersonalityDomain> personality;
};

/// In the parent. Throws unsupported for what this machine does not have. `cache` is a folder for compiled
/// seccomp profiles, or empty (seccomp_cache.h).
Confinement prepare_confinement(const Spec& spec, const std::string& cache = {});

}  // namespace lay::runner
