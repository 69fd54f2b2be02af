#pragma once

#include <string>

#include "runner/spec.h"

/// Labels of security modules that a kernel may or may not have.
namespace lay::runner {

/// The file that takes the label of the next execve(2), and the text for it; empty: none is asked for.
struct ExecLabel {
  std::string file;
  std::string text;
};

/// What process.apparmorProfile and process.selinuxLabel come to on this machine; "unconfined" asks for
/// nothing where there is no AppArmor. Throws unsupported where the kernel has no such module.
ExecLabel plan_exec_label(const Process& process);

/// In the child, after no_new_privs and before the seccomp filter.
void set_exec_label(const ExecLabel& label);

/// linux.mountLabel. Throws unsupported where the kernel has no SELinux.
void require_mount_label(const Linux& linux_part);

}  // namespace lay::runner
