#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "layerstore/apply.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

constexpr std::string_view kAccessAcl = "system.posix_acl_access";
constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

/// What a file system would refuse of an entry is refused here, so that both forms of a layer take the same:
/// extended attributes that a file of its type cannot have or whose value the kernel rejects, and symlinks
/// longer than a path. Hard links are not looked at: their inode is another entry's.
/// Throws invalid or unsupported.
/// source: xattr(7); posix_acl_valid() and cap_convert_nscap() of the kernel, PATH_MAX
void require_storable(const TarEntry& entry);

/// What a valid access list makes of a file's mode, which it decides over: posix_acl_equiv_mode() of the
/// kernel.
struct AclMode {
  mode_t permissions = 0;
  bool says_more = false;  ///< than these: otherwise nothing is kept of it
};
AclMode mode_of_acl(std::string_view value);

/// A valid access list whose owner, mask (without one, group) and others have the permissions of `mode`.
std::string acl_of_mode(std::string value, mode_t mode);

/// Whether a layer has a use for such an attribute: not for those of name spaces that Linux does not have
/// (others' tars carry what macOS or NFS kept), nor for SELinux's label, which is the machine's own matter.
/// podman and umoci leave them out as well.
bool is_kept_xattr(std::string_view name);

/// Notes the owner of what the entry leaves in the layer; one that a later entry replaces counts as well.
void note_owner(const TarEntry& entry, OwnerIds& owners);

/// Throws unsupported when the paths of the folders that a layer only implies are longer in all than is
/// reasonable: a few entries can imply thousands of deep ones, and a stack looks at each.
void require_short_list(std::uint64_t bytes);

/// Throws unsupported when a layer of `entries` has more than `most`.
void require_few(std::uint64_t entries, std::uint64_t most);

}  // namespace lay::layerstore
