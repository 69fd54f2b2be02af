#include "root_view.h"

#include <array>

#include "base/mount.h"
#include "base/syscalls.h"
#include "runner/merged_view.h"

namespace lay::cli {

namespace {

constexpr std::array<const char*, 2> kEmpty{"empty", "none"};

}  // namespace

bool is_folder_argument(const std::string& text) {
  return text == "." || text == ".." || text.starts_with('/') || text.starts_with("./") ||
         text.starts_with("../") || text.ends_with('/');
}

RootView::RootView(const Context& context, const layerstore::Store& store, const layerstore::Image& image,
                   const std::string& upper)
    : layers_(context, store, image),
      folders_(layers_.paths()),
      scratch_(FsContext("tmpfs").mount(MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) {
  if (!upper.empty()) folders_.insert(folders_.begin(), upper);
  for (const char* name : kEmpty) sys::mkdir_at(scratch_, name, 0755);
}

UniqueFd RootView::open() const {
  std::vector<std::string> lowers = folders_;
  for (const char* name : kEmpty) lowers.push_back(fd_path(scratch_) + "/" + name);
  return runner::open_merged_view(lowers);
}

}  // namespace lay::cli
