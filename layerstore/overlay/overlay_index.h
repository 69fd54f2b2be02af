#pragma once

#include "base/unique_fd.h"

namespace lay::layerstore {

enum class OverlayIndex {
  none,
  checked,
  elsewhere,  ///< the upper was mounted with one, which is not beside it
};

/// Throws unsupported when a layer of the upper could not have all that the merged view shows, since overlay
/// keeps a part of it beside the upper: with the option `index`, a hard-linked file of the lowers that was
/// changed, and whose names in the upper were then removed, is in the index alone, and shown under the names
/// that are left in the lowers.
/// The index lies in the work folder, which is looked for beside the upper: it bears the upper's handle.
/// source: kernel, fs/overlayfs/overlayfs.h (struct ovl_fb) and overlayfs.rst "Index directory"
OverlayIndex refuse_unnamed_changes(const UniqueFd& upper);

}  // namespace lay::layerstore
