#include <fcntl.h>

#include "base/error.h"
#include "runner/lifecycle.h"

namespace lay::runner {

void check_preserved(unsigned count) {
  constexpr unsigned kMost = 1024;
  if (count > kMost)
    throw Error::make(Errc::invalid, "{} descriptors are to be preserved, more than {}", count, kMost);
  for (unsigned fd = 3; fd < 3 + count; ++fd) {
    const int flags = ::fcntl(static_cast<int>(fd), F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0)  // lay's own close at execve(2), the caller's do not
      throw Error::make(Errc::invalid, "descriptor {} is to be preserved, but is not open", fd);
  }
}

}  // namespace lay::runner
