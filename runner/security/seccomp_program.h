#pragma once

#include <linux/filter.h>

#include <span>

namespace lay::runner {

/// The built-in profile's two programs, made by tools/compile_seccomp.cpp while lay is built. The kernel runs
/// both and takes the stricter answer.
std::span<const sock_filter> builtin_calls_program();      ///< which system calls there are
std::span<const sock_filter> builtin_arguments_program();  ///< which arguments those may not have

}  // namespace lay::runner
