#include "security/seccomp.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "security/capabilities.h"
#include "security/seccomp_cache.h"
#include "security/seccomp_program.h"

namespace lay::runner {

SeccompFilter prepare_seccomp(const Linux& linux_part, const Capabilities& capabilities,
                              const std::string& cache) {
  switch (linux_part.seccomp) {
    case SeccompProfile::unconfined:
      return {};
    case SeccompProfile::listed:
      return compile_seccomp_cached(linux_part.seccomp_rules.value(), cache);
    case SeccompProfile::builtin:
      break;
  }
  return {.program = assemble_builtin_profile(capability_mask(capabilities.bounding))};
}

int load_seccomp(const SeccompFilter& filter, unsigned more_flags) {
  if (filter.program.empty()) return 0;
  // The kernel copies the instructions and does not write to them; its struct has no const.
  const sock_fprog request{.len = static_cast<unsigned short>(filter.program.size()),
                           .filter = const_cast<sock_filter*>(filter.program.data())};
  unsigned flags = filter.flags | more_flags;
  // One or the other; it is the filter of the calling thread, and of what that becomes
  if ((flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0) flags &= ~unsigned{SECCOMP_FILTER_FLAG_TSYNC};
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &request);
  if (result < 0) {
    Error error = Error::from_errno("load the seccomp profile");
    if (error.error_number() == EINVAL || error.error_number() == ENOSYS)
      error.with_hint(
          "this kernel was built without seccomp filters; --security-opt seccomp=unconfined does without");
    if (error.error_number() == EBUSY)
      error.with_hint("a process can have one seccomp agent, and lay itself runs under one");
    throw error;
  }
  return static_cast<int>(result);
}

}  // namespace lay::runner
