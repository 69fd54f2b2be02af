#pragma once

#include "tar_entry.h"

namespace lay::layerstore {

/// What a file system would refuse of an entry is refused here, so that both forms of a layer take the same:
/// extended attributes that a file of its type cannot have or whose value the kernel rejects, and symlinks
/// longer than a path. Hard links are not looked at: their inode is another entry's.
/// Throws invalid or unsupported.
/// source: xattr(7); posix_acl_valid() and cap_convert_nscap() of the kernel, PATH_MAX
void require_storable(const TarEntry& entry);

}  // namespace lay::layerstore
