#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace lay::runner {

/// How the built-in profile answers a system call.
enum class CallAnswer : std::uint8_t {
  unknown,  ///< ENOSYS, as by an older kernel, so that programs fall back
  denied,   ///< EPERM
  allowed,
  // Those whose arguments are looked at:
  clone,        ///< EPERM with any CLONE_NEW*, but with CAP_SYS_ADMIN
  personality,  ///< the execution domains of ordinary programs, and the query; else ENOSYS
  socket,       ///< EPERM for AF_ALG and AF_VSOCK, which no namespace covers; EINVAL for auditing
  socketcall,   ///< EPERM for SYS_SOCKET, whose family is in memory, where a filter cannot look
  ioctl,        ///< EPERM for TIOCSTI and TIOCLINUX
};

/// The calls from number `first` up to the next range.
struct CallRange {
  std::uint32_t first = 0;
  CallAnswer answer = CallAnswer::unknown;
  std::uint64_t capabilities =
      0;  ///< allowed for who has one of these, whatever `answer` says; linux/capability.h
};

/// The built-in profile for a container with these capabilities (bits as in linux/capability.h), as a program
/// of seccomp(2). tools/compile_seccomp.cpp makes the table that it is put together from while lay is built:
/// of the native architecture and the other one whose programs this kernel runs. The rest gets ENOSYS.
std::vector<sock_filter> assemble_builtin_profile(std::uint64_t capabilities);

}  // namespace lay::runner
