#include "security/host_labels.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::uint64_t kSelinuxMagic = SELINUX_MAGIC;

bool has_selinux() {
  const auto folder = sys::try_open_at(sys::cwd(), "/sys/fs/selinux", O_PATH | O_DIRECTORY);
  return folder && filesystem_magic(*folder) == kSelinuxMagic;
}

bool has_apparmor() {
  const auto file = sys::try_open_at(sys::cwd(), "/sys/module/apparmor/parameters/enabled", O_RDONLY);
  return file && sys::read_all(*file, 16).starts_with('Y');
}

ExecLabel plan_apparmor(const std::string& profile) {
  if (!has_apparmor()) {
    if (profile == "unconfined") return {};
    throw Error::make(Errc::unsupported, "AppArmor profile '{}': this kernel has no AppArmor",
                      printable(profile))
        .with_hint("leave out process.apparmorProfile, or boot a kernel with it ('lay info --security')");
  }
  const bool is_stackable = ::access("/proc/thread-self/attr/apparmor/exec", F_OK) == 0;
  return {.file = is_stackable ? "/proc/thread-self/attr/apparmor/exec" : "/proc/thread-self/attr/exec",
          .text = "exec " + profile,
          .opened = {}};
}

}  // namespace

ExecLabel plan_exec_label(const Process& process) {
  if (!process.selinux_label.empty()) {
    if (!has_selinux())
      throw Error::make(Errc::unsupported, "SELinux label '{}': this kernel has no SELinux",
                        printable(process.selinux_label))
          .with_hint("leave out process.selinuxLabel, or boot a kernel with it");
    return {.file = "/proc/thread-self/attr/exec", .text = process.selinux_label, .opened = {}};
  }
  if (process.apparmor_profile.empty()) return {};
  return plan_apparmor(process.apparmor_profile);
}

void open_exec_label(ExecLabel& label) {
  if (label.file.empty()) return;
  with_context(fmt::format("label '{}'", printable(label.text)),
               [&] { label.opened = sys::open_at(sys::cwd(), label.file, O_WRONLY); });
}

void set_exec_label(const ExecLabel& label) {
  if (!label.opened) return;
  with_context(fmt::format("label '{}'", printable(label.text)),
               [&] { sys::write_all(label.opened, label.text); });
}

void set_file_label(const UniqueFd& file, const std::string& label) {
  const int result =
      ::setxattr(fd_path(file).c_str(), "security.selinux", label.c_str(), label.size() + 1, 0);
  if (result < 0 && errno != EOPNOTSUPP) throw Error::from_errno("label it '{}'", printable(label));
}

void require_mount_label(const Linux& linux_part) {
  if (linux_part.mount_label.empty() || has_selinux()) return;
  throw Error::make(Errc::unsupported, "mount label '{}': this kernel has no SELinux",
                    printable(linux_part.mount_label))
      .with_hint("leave out linux.mountLabel");
}

}  // namespace lay::runner
