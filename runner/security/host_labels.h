#pragma once

#include <string>

#include "base/unique_fd.h"
#include "runner/spec.h"

/// Labels of security modules that a kernel may or may not have.
namespace lay::runner {

/// The file that takes the label of the next execve(2), and the text for it; empty: none is asked for.
struct ExecLabel {
  std::string file;
  std::string text;
  UniqueFd opened;  ///< in the child
};

/// What process.apparmorProfile and process.selinuxLabel come to on this machine; "unconfined" asks for
/// nothing where there is no AppArmor. Throws unsupported where the kernel has no such module.
ExecLabel plan_exec_label(const Process& process);

/// In the child, while the host's /proc is there: an image can have whatever it likes in that place. The file
/// is the calling process's alone.
void open_exec_label(ExecLabel& label);

/// In the child, after no_new_privs and before the seccomp filter. Children inherit it.
void set_exec_label(const ExecLabel& label);

/// The mount option that takes linux.mountLabel for all files of a file system.
inline constexpr const char* kLabelOption = "context";

/// SELinux's label of one file, even one that is open by O_PATH alone; none where the host's policy has
/// none for files of that file system. The host's /proc is needed.
void set_file_label(const UniqueFd& file, const std::string& label);

/// linux.mountLabel. Throws unsupported where the kernel has no SELinux.
void require_mount_label(const Linux& linux_part);

}  // namespace lay::runner
