#include "process/memory_program.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "base/error.h"

namespace lay::runner {

namespace {

constexpr unsigned kMayBeExecuted = 0x10;  // MFD_EXEC, Linux 6.3: where the default is another

}  // namespace

UniqueFd make_memory_program(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd file{::memfd_create(name, kFlags | kMayBeExecuted)};
  if (!file && errno == EINVAL) file = UniqueFd{::memfd_create(name, kFlags)};
  if (!file) {
    Error error = Error::from_errno("make a program in memory");
    if (error.error_number() == EACCES) error.with_hint("sysctl vm.memfd_noexec=1 or 0");
    throw error;
  }
  return file;
}

void seal(const UniqueFd& program) {
  if (::fcntl(program.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    throw Error::from_errno("seal a program in memory");
}

}  // namespace lay::runner
