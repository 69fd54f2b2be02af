#include "security/seccomp_library.h"

#include <optional>

#include "base/error.h"
#include "base/shared_library.h"

namespace lay::runner {

namespace {

std::optional<SeccompLibrary> open_library() {
  const std::optional<SharedLibrary> library = SharedLibrary::try_open("libseccomp.so.2", "libseccomp2");
  if (!library) return std::nullopt;
  SeccompLibrary table;
  const bool is_complete = library->try_load("seccomp_init", table.init) &&
                           library->try_load("seccomp_release", table.release) &&
                           library->try_load("seccomp_arch_add", table.arch_add) &&
                           library->try_load("seccomp_attr_set", table.attr_set) &&
                           library->try_load("seccomp_syscall_resolve_name", table.resolve_name) &&
                           library->try_load("seccomp_rule_add_array", table.rule_add) &&
                           library->try_load("seccomp_export_bpf", table.export_bpf);
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
