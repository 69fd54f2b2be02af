#include "security/confinement.h"

#include "cgroup/resctrl.h"
#include "runner/isolation.h"
#include "security/sysctl.h"
#include "spec/names.h"

namespace lay::runner {

Confinement prepare_confinement(const Spec& spec, const std::string& cache) {
  Confinement confinement{.seccomp = prepare_seccomp(spec.linux_, spec.process.capabilities, cache)};
  confinement.label = plan_exec_label(spec.process);
  confinement.personality = spec.linux_.personality;
  if (spec.linux_.intel_rdt) find_resctrl();
  require_mount_label(spec.linux_);
  if (const auto rules = spec.annotations.find(kLandlockAnnotation); rules != spec.annotations.end()) {
    confinement.landlock = parse_landlock(rules->second);
    require_landlock(*confinement.landlock, landlock_abi());
  }
  return confinement;
}

void check_isolation(const Spec& spec) {
  check_sysctls(spec);
  static_cast<void>(prepare_confinement(spec));
}

}  // namespace lay::runner
