#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// How overlay writes down a removal, in its upper and lower directories and in layer tars.
/// Sources: kernel overlayfs.rst "whiteouts and opaque directories", "Nesting overlayfs mounts"; image-spec
/// layer.md "Whiteouts".
namespace lay::layerstore {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

/// An upper and a lower keep attributes of a nested overlay, one inside the root that they show, with one
/// more "overlay.": "trusted.overlay.overlay.opaque", shown as "trusted.overlay.opaque". A layer's tar has
/// the names as a lower has them, so that all who unpack it as it is get the same. A plain root has those
/// that are shown.

/// Written by lay; user.overlay.* comes from mounts with the option userxattr.
constexpr const char* kOpaqueXattr = "trusted.overlay.opaque";

/// A char 0:0 node.
bool is_whiteout_node(const struct ::stat& status);

/// "opaque" for "trusted.overlay.opaque" and "user.overlay.opaque"; empty when it is not overlay's own.
std::optional<std::string_view> overlay_xattr(std::string_view name);

/// Whether it is overlay's own in the notation of mounts without the option userxattr.
bool is_trusted_overlay_xattr(std::string_view name);

/// The name that an overlay mount shows for an attribute of a nested overlay, which it keeps with one more
/// "overlay.": "trusted.overlay.opaque" for "trusted.overlay.overlay.opaque".
/// Empty when it is not such a one.
std::optional<std::string> unescaped_overlay_xattr(std::string_view name);

/// The same the other way round: the name under which a lower keeps what the merged view shows as `name`.
/// Only the notation that lay mounts is overlay's own there: "user.overlay.*" stays as it is.
std::string stored_xattr_name(std::string_view name);
/// What a merged view without the option userxattr shows for the attribute `name` of a lower or upper; empty
/// for overlay's own.
std::optional<std::string> shown_xattr_name(std::string_view name);

/// "trusted.overlay.opaque", "user.overlay.opaque" and the like, but not what is escaped once more,
/// "trusted.overlay.overlay.*". A tar of a layer has none: they would hide or move what the lowers have.
bool is_overlay_mark(std::string_view name);

/// The latter of the two. To a mount without the option userxattr it says nothing, but no layer has it: a
/// rootless one would take it for its own.
bool is_user_mark(std::string_view name);

enum class OpaqueMark {
  none,
  opaque,           ///< "y": nothing of the lowers shows through
  xattr_whiteouts,  ///< "x": files in here may be whiteouts by extended attribute (from kernel 6.7)
};

/// What overlay's extended attributes say about one inode of an upper.
struct OverlayMarks {
  OpaqueMark opaque = OpaqueMark::none;
  bool whiteout = false;
  bool redirect = false;  ///< a folder: what it holds in the lowers is under another path there
  bool metacopy = false;  ///< a file: its data are in a lower
  std::string links;      ///< how many names it has by overlay's index, as the kernel writes it: "U-1"
  /// "redirect" or "metacopy" in the "user." notation, which no kernel follows.
  std::string unfollowed;
};

}  // namespace lay::layerstore
