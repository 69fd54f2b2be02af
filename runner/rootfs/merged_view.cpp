#include "runner/merged_view.h"

#include <fcntl.h>

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

}  // namespace lay::runner
