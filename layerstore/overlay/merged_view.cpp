#include "overlay/merged_view.h"

#include <array>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/overlay_view.h"
#include "base/syscalls.h"
#include "diff/inode.h"

namespace lay::layerstore {

namespace {

/// metacopy=on brings redirect_dir=on with it, which without an upper follows and writes nothing.
constexpr std::array<std::pair<const char*, const char*>, 2> kFollow{{{"metacopy", "on"}, {"index", "off"}}};

std::vector<UniqueFd> open_lowers(const OpenLowers& lowers) {
  std::vector<UniqueFd> opened;
  if (lowers) opened = lowers();
  if (opened.empty())
    throw Error(Errc::unsupported, "overlay keeps a part of it in the lower folders, which are not known")
        .with_hint("name the image that the folder was made on: --base IMAGE");
  return opened;
}

void follow_pointers(FsContext& context) {
  for (const auto& [key, value] : kFollow) context.set_string(key, value);
}

}  // namespace

MergedView::MergedView(const UniqueFd& upper, const OpenLowers& lowers) {
  std::vector<UniqueFd> folders = open_lowers(lowers);
  folders.insert(folders.begin(), sys::dup_fd(upper));
  try {
    root_ = open_overlay_view(folders, follow_pointers);
  } catch (const Error& error) {
    throw Error::make(Errc::unsupported, "overlay keeps a part of it in the lower folders: {}",
                      error.message())
        .with_hint("copy it within the merged view of a mount with redirect_dir=off,metacopy=off");
  }
}

UniqueFd MergedView::open(const std::string& path, int flags) const {
  auto fd = try_open_same_mount(root_, path.empty() ? "." : path, flags);
  if (!fd) throw Error(Errc::io, "the merged view has a mount point where there is none");
  return std::move(*fd);
}

}  // namespace lay::layerstore
