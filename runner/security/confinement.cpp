#include "security/confinement.h"

#include "spec/names.h"

namespace lay::runner {

Confinement prepare_confinement(const Spec& spec) {
  Confinement confinement{.seccomp = prepare_seccomp(spec.linux_, spec.process.capabilities)};
  confinement.label = plan_exec_label(spec.process);
  require_mount_label(spec.linux_);
  if (const auto rules = spec.annotations.find(kLandlockAnnotation); rules != spec.annotations.end()) {
    confinement.landlock = parse_landlock(rules->second);
    require_landlock(*confinement.landlock, landlock_abi());
  }
  return confinement;
}

}  // namespace lay::runner
