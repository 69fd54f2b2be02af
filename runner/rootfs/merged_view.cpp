#include "runner/merged_view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/mount.h"
#include "base/overlay_view.h"
#include "base/syscalls.h"
#include "rootfs/overlay.h"

namespace lay::runner {

UniqueFd open_merged_view(const std::vector<std::string>& lowers) {
  std::vector<UniqueFd> folders;
  for (const std::string& lower : lowers)
    folders.push_back(sys::open_at(sys::cwd(), lower, O_PATH | O_DIRECTORY));
  return open_overlay_view(folders, set_fixed_options);
}

void leave_host_mounts(const std::string& scratch) {
  if (::unshare(CLONE_NEWNS) < 0) throw Error::from_errno("make a mount namespace");
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  set_mount_attributes(root, {.propagation = MS_PRIVATE}, Recursion::yes);
  attach_mount(FsContext("tmpfs").mount(MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
               sys::open_dir(sys::cwd(), scratch));
}

}  // namespace lay::runner
