#include "security/seccomp_library.h"

#include <dlfcn.h>

#include <optional>

#include "base/error.h"

namespace lay::runner {

namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

std::optional<SeccompLibrary> open_library() {
  void* library = ::dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  SeccompLibrary table;
  const bool is_complete = find(library, "seccomp_init", table.init) &&
                           find(library, "seccomp_release", table.release) &&
                           find(library, "seccomp_arch_add", table.arch_add) &&
                           find(library, "seccomp_attr_set", table.attr_set) &&
                           find(library, "seccomp_syscall_resolve_name", table.resolve_name) &&
                           find(library, "seccomp_rule_add_array", table.rule_add) &&
                           find(library, "seccomp_export_bpf", table.export_bpf);
  return is_complete ? std::optional(table) : std::nullopt;
}

}  // namespace

const SeccompLibrary& seccomp_library() {
  static const std::optional<SeccompLibrary> library = open_library();
  if (!library)
    throw Error(Errc::unsupported,
                "profiles of system calls are compiled by libseccomp.so.2, which is not here")
        .with_hint("install libseccomp2; the built-in profile does without it");
  return *library;
}

}  // namespace lay::runner
