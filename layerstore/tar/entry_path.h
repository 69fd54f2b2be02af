#pragma once

#include <string>
#include <string_view>

namespace lay::layerstore {

/// A tar's name for a place, cut into the folder and the last component; both relative to the layer's root,
/// without ".", doubled or leading slashes. The root itself is {"", "."}.
struct EntryPath {
  std::string parent;
  std::string name;

  bool is_root() const { return name == "."; }
  std::string full() const { return parent.empty() ? name : parent + "/" + name; }
};

/// Throws invalid for what no layer needs and some unpackers fall for: "..", an empty name, components longer
/// than 255 bytes, paths longer than 4095, and removals (".wh.") anywhere but in the last component.
EntryPath parse_entry_path(std::string_view path);

/// Whether that is what AUFS kept for itself at a layer's root (".wh..wh.plnk", ".wh..wh.aufs"), or something
/// below it: in layers of docker's early days, and passed over by docker and podman as well.
bool is_aufs_metadata(std::string_view path);

/// A tar's name as a message shows it: printable, and of a long one only the beginning.
std::string shown_path(std::string_view path);

enum class Removal {
  none,
  name,    ///< ".wh.NAME"
  opaque,  ///< ".wh..wh..opq"
};

/// What the last component asks to be removed. Throws invalid for ".wh." of nothing, "." and "..", and for
/// the rest of the reserved names ".wh..wh.*".
Removal parse_removal(std::string_view name);

}  // namespace lay::layerstore
