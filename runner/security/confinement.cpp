#include "security/confinement.h"

#include "base/error.h"
#include "runner/isolation.h"
#include "security/sysctl.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

void refuse_resctrl(const Linux& linux_part) {
  if (!linux_part.intel_rdt) return;
  throw Error(Errc::unsupported, "linux.intelRdt: lay places no container in a group of resctrl")
      .with_hint("leave it out");
}

}  // namespace

Confinement prepare_confinement(const Spec& spec, const std::string& cache) {
  Confinement confinement{.seccomp = prepare_seccomp(spec.linux_, spec.process.capabilities, cache)};
  confinement.label = plan_exec_label(spec.process);
  confinement.personality = spec.linux_.personality;
  refuse_resctrl(spec.linux_);
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
