#include "runner/merged_view.h"

#include <fcntl.h>

#include "base/mount.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "overlay.h"

namespace lay::runner {

namespace {

/// Kernels before 6.8 take the layers in one string only, of at most 255 bytes.
void set_lowers(FsContext& context, const std::vector<UniqueFd>& lowers) {
  if (!context.try_set_string("lowerdir+", fd_path(lowers.front()))) {
    std::vector<std::string> paths;
    for (const UniqueFd& lower : lowers) paths.push_back(fd_path(lower));
    context.set_string("lowerdir", join(paths, ":"));
    return;
  }
  for (std::size_t i = 1; i < lowers.size(); ++i) context.set_string("lowerdir+", fd_path(lowers[i]));
}

}  // namespace

UniqueFd open_merged_view(const std::vector<std::string>& lowers) {
  std::vector<UniqueFd> folders;
  for (const std::string& lower : lowers)
    folders.push_back(sys::open_at(sys::cwd(), lower, O_PATH | O_DIRECTORY));
  FsContext context("overlay");
  set_lowers(context, folders);
  set_fixed_options(context);
  // The descriptor of a mount is good for lookups alone: the walk reads folders.
  const UniqueFd mount = context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
  return sys::open_dir(mount, ".");
}

}  // namespace lay::runner
