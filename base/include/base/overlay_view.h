#pragma once

#include <functional>
#include <span>

#include "base/mount.h"
#include "base/unique_fd.h"

namespace lay {

/// An overlay of lowers alone: read-only, attached nowhere, gone with the descriptor, which is that of its
/// root folder.
///   lowers      open folders, topmost first; the kernel takes no fewer than two without an upper
///   configure   sets the options that decide what overlay follows
///   throws      Error with what the kernel said
///   source      kernel overlayfs.rst, "Multiple lower layers"
UniqueFd open_overlay_view(std::span<const UniqueFd> lowers,
                           const std::function<void(FsContext&)>& configure);

}  // namespace lay
