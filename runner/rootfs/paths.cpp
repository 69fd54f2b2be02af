#include "rootfs/paths.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <optional>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "rootfs/mount_target.h"
#include "security/host_labels.h"

namespace lay::runner {

namespace {

/// The container's own /dev/null, made sure to be that device: a node or symlink of another kind would put
/// something else where the secret was.
UniqueFd open_null(const UniqueFd& root) {
  UniqueFd null = sys::open_in_root(root, "/dev/null", O_PATH | O_NOFOLLOW);
  const struct ::stat info = sys::stat_of(null);
  if (!S_ISCHR(info.st_mode) || info.st_rdev != ::makedev(1, 3))
    throw Error::make(Errc::invalid, "'/dev/null' of the container is not the null device (1:3)");
  return null;
}

/// Hands out mounts of one and the same empty tmpfs.
class EmptyFolder {
 public:
  explicit EmptyFolder(const std::string& label) : label_(label) {}

  void cover(const UniqueFd& target) {
    if (first_) return attach_mount(clone_tree(first_, Recursion::no), target);
    FsContext context("tmpfs");
    context.set_string("nr_inodes", "1");
    context.set_string("mode", "0555");
    context.set_flag("ro");
    if (!label_.empty()) context.set_string(kLabelOption, label_);
    first_ = context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    attach_mount(first_, target);
  }

 private:
  const std::string& label_;
  UniqueFd first_;
};

}  // namespace

void mask_paths(const UniqueFd& root, const std::vector<std::string>& paths, const std::string& label) {
  if (paths.empty()) return;
  const UniqueFd null = open_null(root);
  EmptyFolder empty(label);
  for (const std::string& path : paths) {
    const std::optional<UniqueFd> target = find_target(root, path);
    if (!target) continue;
    with_context(fmt::format("mask '{}'", printable(path)), [&] {
      if (S_ISDIR(sys::stat_of(*target).st_mode))
        empty.cover(*target);
      else
        attach_mount(clone_tree(null, Recursion::no), *target);
    });
  }
}

void make_paths_readonly(const UniqueFd& root, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::optional<UniqueFd> target = find_target(root, path);
    if (!target) continue;
    with_context(fmt::format("make '{}' read-only", printable(path)), [&] {
      const UniqueFd copy = clone_tree(*target, Recursion::yes);
      set_mount_attributes(copy, MountAttributes{.set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE},
                           Recursion::yes);
      attach_mount(copy, *target);
    });
  }
}

}  // namespace lay::runner
