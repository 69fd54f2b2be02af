#include "tar/entry_check.h"

#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "overlay/overlay_notation.h"
#include "tar/entry_path.h"

namespace lay::layerstore {

namespace {

constexpr std::string_view kSelinuxLabel = "security.selinux";
constexpr std::string_view kCapability = "security.capability";

/// A little-endian number at `offset`; the caller has checked the size.
std::uint32_t number_at(std::string_view bytes, std::size_t offset, std::size_t width) {
  std::uint32_t number = 0;
  for (std::size_t i = width; i-- > 0;)
    number = (number << 8U) | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

/// The entries' tags have to come in the order of their values; this is what may follow what.
bool may_follow(std::uint32_t tag, std::uint32_t before) {
  const bool may_repeat = tag == ACL_USER || tag == ACL_GROUP;
  return tag > before || (may_repeat && tag == before);
}

bool is_valid_acl(std::string_view value) {
  constexpr std::size_t kHeader = sizeof(posix_acl_xattr_header);
  constexpr std::size_t kEntry = sizeof(posix_acl_xattr_entry);
  if (value.size() <= kHeader || (value.size() - kHeader) % kEntry != 0) return false;
  if (number_at(value, 0, 4) != POSIX_ACL_XATTR_VERSION) return false;
  std::uint32_t before = 0;
  std::uint32_t seen = 0;
  for (std::size_t at = kHeader; at < value.size(); at += kEntry) {
    const std::uint32_t tag = number_at(value, at, 2);
    const bool is_known = tag == ACL_USER_OBJ || tag == ACL_USER || tag == ACL_GROUP_OBJ ||
                          tag == ACL_GROUP || tag == ACL_MASK || tag == ACL_OTHER;
    const bool is_named = tag == ACL_USER || tag == ACL_GROUP;
    if (!is_known || !may_follow(tag, before) || number_at(value, at + 2, 2) > 7) return false;
    if (is_named && number_at(value, at + 4, 4) == UINT32_MAX) return false;
    before = tag;
    seen |= tag;
  }
  const std::uint32_t required = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
  const bool needs_mask = (seen & (ACL_USER | ACL_GROUP)) != 0;
  return (seen & required) == required && (!needs_mask || (seen & ACL_MASK) != 0);
}

/// Calls `visit` with the tag and the permissions of each entry of a valid access list.
template <class Visit>
void for_each_acl_entry(std::string_view value, Visit&& visit) {
  for (std::size_t at = sizeof(posix_acl_xattr_header); at < value.size();
       at += sizeof(posix_acl_xattr_entry))
    visit(number_at(value, at, 2), number_at(value, at + 2, 2));
}

bool is_valid_capability(std::string_view value) {
  if (value.size() < 4) return false;
  const std::uint32_t revision = number_at(value, 0, 4) & ~std::uint32_t{VFS_CAP_FLAGS_EFFECTIVE};
  if (revision == VFS_CAP_REVISION_2) return value.size() == XATTR_CAPS_SZ_2;
  return revision == VFS_CAP_REVISION_3 && value.size() == XATTR_CAPS_SZ_3 &&
         number_at(value, XATTR_CAPS_SZ_2, 4) != UINT32_MAX;
}

void require_name(const Xattr& xattr, EntryType type) {
  const std::string_view name = xattr.name;
  if (name.size() > XATTR_NAME_MAX || name.back() == '.')
    throw Error::make(Errc::unsupported, "extended attribute '{}' is none that a file can have",
                      printable(name));
  if (name.starts_with("user.") && type != EntryType::regular && type != EntryType::directory)
    throw Error::make(Errc::unsupported, "only files and folders can have the extended attribute '{}'",
                      printable(name));
  if ((name == kDefaultAcl && type != EntryType::directory) ||
      (name == kAccessAcl && type == EntryType::symlink))
    throw Error::make(Errc::unsupported, "an entry of this type cannot have the extended attribute '{}'",
                      name);
}

void require_value(const Xattr& xattr) {
  if (xattr.value.size() > XATTR_SIZE_MAX)
    throw Error::make(Errc::unsupported, "extended attribute '{}' is longer than {} bytes",
                      printable(xattr.name), XATTR_SIZE_MAX);
  if ((xattr.name == kAccessAcl || xattr.name == kDefaultAcl) && !is_valid_acl(xattr.value))
    throw Error::make(Errc::invalid, "extended attribute '{}' is no valid access list", xattr.name);
  if (xattr.name == kCapability && !is_valid_capability(xattr.value))
    throw Error::make(Errc::invalid, "extended attribute '{}' is no valid set of capabilities", xattr.name);
}

}  // namespace

AclMode mode_of_acl(std::string_view value) {
  AclMode result;
  std::optional<std::uint32_t> mask;
  for_each_acl_entry(value, [&](std::uint32_t tag, std::uint32_t permissions) {
    if (tag == ACL_USER_OBJ) result.permissions |= permissions << 6U;
    if (tag == ACL_GROUP_OBJ) result.permissions |= permissions << 3U;
    if (tag == ACL_OTHER) result.permissions |= permissions;
    if (tag == ACL_MASK) mask = permissions;
    if (tag == ACL_USER || tag == ACL_GROUP || tag == ACL_MASK) result.says_more = true;
  });
  if (mask) result.permissions = (result.permissions & ~mode_t{S_IRWXG}) | *mask << 3U;
  return result;
}

std::string acl_of_mode(std::string value, mode_t mode) {
  bool has_mask = false;
  for_each_acl_entry(value, [&](std::uint32_t tag, std::uint32_t) { has_mask |= tag == ACL_MASK; });
  const std::uint32_t group = has_mask ? ACL_MASK : ACL_GROUP_OBJ;
  for (std::size_t at = sizeof(posix_acl_xattr_header); at < value.size();
       at += sizeof(posix_acl_xattr_entry)) {
    const std::uint32_t tag = number_at(value, at, 2);
    if (tag == ACL_USER_OBJ) value[at + 2] = static_cast<char>(mode >> 6U & 7U);
    if (tag == group) value[at + 2] = static_cast<char>(mode >> 3U & 7U);
    if (tag == ACL_OTHER) value[at + 2] = static_cast<char>(mode & 7U);
  }
  return value;
}

void require_storable(const TarEntry& entry) {
  if (entry.type == EntryType::hardlink) return;
  if (entry.type == EntryType::symlink && entry.link.empty())
    throw Error(Errc::invalid, "it is a symlink to nothing");
  if (entry.type == EntryType::symlink && entry.link.size() >= PATH_MAX)
    throw Error::make(Errc::invalid, "it is a symlink to a name of {} bytes, expected at most {}",
                      entry.link.size(), PATH_MAX - 1);
  for (const Xattr& xattr : entry.xattrs) {
    if (is_overlay_mark(xattr.name)) continue;
    require_name(xattr, entry.type);
    require_value(xattr);
  }
}

bool is_kept_xattr(std::string_view name) {
  const bool is_known =
      name.starts_with("user.") || name.starts_with("trusted.") || name.starts_with("security.");
  const bool is_copy =
      name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT";  // xfs's own of ACLs
  return (is_known && !is_copy && name != kSelinuxLabel) || name == kAccessAcl || name == kDefaultAcl;
}

void note_owner(const TarEntry& entry, OwnerIds& owners) {
  const std::size_t slash = entry.path.rfind('/');
  const std::string_view name =
      std::string_view(entry.path).substr(slash == std::string::npos ? 0 : slash + 1);
  if (is_aufs_metadata(entry.path) || name.starts_with(kWhiteoutPrefix)) return;
  owners.uids.add(entry.uid);
  owners.gids.add(entry.gid);
}

void require_short_list(std::uint64_t bytes) {
  constexpr std::uint64_t kMost = 8U << 20U;
  if (bytes > kMost)
    throw Error::make(Errc::unsupported, "the paths of folders that the layer only implies exceed {} MiB",
                      kMost >> 20U)
        .with_hint("its tar should have entries for its folders");
}

void require_few(std::uint64_t entries, std::uint64_t most) {
  if (entries > most)
    throw Error::make(Errc::unsupported, "the layer has more than {} entries", most)
        .with_hint("if you trust it: lay --max-entries " + std::to_string(entries * 10) + " …");
}

}  // namespace lay::layerstore
