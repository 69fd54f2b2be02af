#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

/// Mounting layers as EROFS, file-backed: image and tar are plain files.
namespace lay::layerstore {

struct KernelRelease {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;

  auto operator<=>(const KernelRelease&) const = default;
};

/// "6.12.41+deb13-amd64" is {6, 12, 41}. Throws invalid.
KernelRelease parse_kernel_release(std::string_view text);

/// Why layers cannot be mounted here, for the user of lay; empty when they can. The release decides first:
/// up to 6.12.1 a file-backed mount with blocks of 512 bytes crashes the kernel (Linux commit bae0854160939),
/// so that trying it is no way to find out.
std::optional<std::string> why_not_mountable(const KernelRelease& release);
/// As above for this kernel, and then by mounting a layer of one file below `folder`, where something may be
/// written: not every file system can back such a mount, and the user may not be allowed to.
std::optional<std::string> why_not_mountable(const UniqueFd& folder);

/// A detached, read-only mount of a layer: `image` as write_erofs() made it, for `tar`. Nothing of it can be
/// a device or gain rights. Throws what the kernel says.
UniqueFd mount_erofs(const UniqueFd& image, const UniqueFd& tar);

}  // namespace lay::layerstore
