#include "security/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

#include "base/error.h"
#include "security/seccomp_program.h"

namespace lay::runner {

namespace {

// Compiled by tools/compile_seccomp.cpp while lay is built; see there for what they
// forbid and why they are two.
constexpr auto kCalls = std::to_array<sock_filter>({
#include "seccomp_calls.inc"
});
constexpr auto kArguments = std::to_array<sock_filter>({
#include "seccomp_arguments.inc"
});
static_assert(kCalls.size() <= BPF_MAXINSNS && kArguments.size() <= BPF_MAXINSNS);

void load_program(std::span<const sock_filter> program) {
  // The kernel copies the instructions and does not write to them; its struct has no const.
  const sock_fprog request{.len = static_cast<unsigned short>(program.size()),
                           .filter = const_cast<sock_filter*>(program.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &request) < 0) {
    Error error = Error::from_errno("load the seccomp profile");
    if (error.error_number() == EINVAL || error.error_number() == ENOSYS)
      error.with_hint(
          "this kernel was built without seccomp filters; --security-opt seccomp=unconfined does without");
    throw error;
  }
}

}  // namespace

std::span<const sock_filter> builtin_calls_program() {
  return kCalls;
}
std::span<const sock_filter> builtin_arguments_program() {
  return kArguments;
}

void load_seccomp(SeccompProfile profile) {
  if (profile == SeccompProfile::unconfined) return;
  load_program(builtin_arguments_program());
  load_program(builtin_calls_program());
}

}  // namespace lay::runner
