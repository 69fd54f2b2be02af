#include "base/overlay_view.h"

#include <string>
#include <vector>

#include "base/syscalls.h"
#include "base/text.h"

namespace lay {

namespace {

/// Kernels before 6.8 take the layers in one string only, of at most 255 bytes.
void set_lowers(FsContext& context, std::span<const UniqueFd> lowers) {
  if (!context.try_set_string("lowerdir+", fd_path(lowers.front()))) {
    std::vector<std::string> paths;
    for (const UniqueFd& lower : lowers) paths.push_back(fd_path(lower));
    context.set_string("lowerdir", join(paths, ":"));
    return;
  }
  for (const UniqueFd& lower : lowers.subspan(1)) context.set_string("lowerdir+", fd_path(lower));
}

}  // namespace

UniqueFd open_overlay_view(std::span<const UniqueFd> lowers,
                           const std::function<void(FsContext&)>& configure) {
  FsContext context("overlay");
  set_lowers(context, lowers);
  configure(context);
  // The descriptor of a mount is good for lookups alone: a walk reads folders.
  const UniqueFd mount = context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
  return sys::open_dir(mount, ".");
}

}  // namespace lay
