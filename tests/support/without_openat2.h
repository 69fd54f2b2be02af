#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>

#include "base/error.h"

namespace lay::test {

/// From now on openat2(2) fails with ENOSYS in this process and its children, as on an old kernel or beneath
/// the seccomp filter of another container tool. Needs CAP_SYS_ADMIN.
inline void forbid_openat2() {
  ::sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(::seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const ::sock_fprog program{.len = sizeof code / sizeof *code, .filter = code};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) throw Error::from_errno("forbid openat2");
}

}  // namespace lay::test
