#include "images/root_view.h"

#include <array>

#include "base/error.h"
#include "base/mount.h"
#include "base/overlay_limit.h"
#include "base/syscalls.h"
#include "runner/merged_view.h"

namespace lay::cli {

namespace {

constexpr std::array<const char*, 2> kEmpty{"empty", "none"};  // overlay wants two lowers at least

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
  for (const char* name : kEmpty)
    if (lowers.size() < kEmpty.size()) lowers.push_back(fd_path(scratch_) + "/" + name);
  if (lowers.size() > kMostLowers)
    throw Error::make(Errc::unsupported,
                      "what the container changed lies on {} layers, and {} folders are the most that can be "
                      "looked at together",
                      lowers.size() - 1, kMostLowers)
        .with_hint("make one layer of its image: export that, import it, and run the container from it");
  return runner::open_merged_view(lowers);
}

}  // namespace lay::cli
