#include "runner/ended.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "container/run_lock.h"

namespace lay::runner {

namespace {

bool is_left_behind(const UniqueFd& containers, const std::string& folder) {
  const auto info = sys::try_stat_at(containers, folder);
  if (!info || !S_ISDIR(info->st_mode) || (info->st_mode & kAutoRemoveMark) == 0) return false;
  const auto dir = sys::try_open_at(containers, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return dir && !is_run_locked(*dir);
}

}  // namespace

void sweep_ended(const ContainerStore& store) {
  const auto containers = sys::try_open_at(sys::cwd(), store.root() + "/containers", O_RDONLY | O_DIRECTORY);
  if (!containers) return;
  for (const std::string& id : list_names(*containers)) {
    if (id.starts_with('.') || !is_left_behind(*containers, id)) continue;  // hidden: being made or removed
    try {
      store.remove(store.find(id));
    } catch (const Error&) {
      // Another was quicker, or it is damaged: that is for `rm -f`
    }
  }
}

}  // namespace lay::runner
