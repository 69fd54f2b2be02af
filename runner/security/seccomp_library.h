#pragma once

#include <seccomp.h>

namespace lay::runner {

/// libseccomp's functions, opened when the first profile of a user is compiled: ordinary starts never load
/// it.
struct SeccompLibrary {
  decltype(&::seccomp_init) init = nullptr;
  decltype(&::seccomp_release) release = nullptr;
  decltype(&::seccomp_arch_add) arch_add = nullptr;
  decltype(&::seccomp_attr_set) attr_set = nullptr;
  decltype(&::seccomp_syscall_resolve_name) resolve_name = nullptr;
  decltype(&::seccomp_rule_add_array) rule_add = nullptr;
  decltype(&::seccomp_export_bpf) export_bpf = nullptr;
};

/// Throws unsupported when it is not installed.
const SeccompLibrary& seccomp_library();

}  // namespace lay::runner
