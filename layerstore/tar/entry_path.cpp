#include "tar/entry_path.h"

#include <climits>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "overlay/overlay_notation.h"

namespace lay::layerstore {

namespace {

constexpr std::string_view kMetadataPrefix = ".wh..wh.";

/// What a removal may have more than the name that it removes.
std::size_t extra_bytes(std::string_view part) {
  return part.starts_with(kWhiteoutPrefix) ? kWhiteoutPrefix.size() : 0;
}

}  // namespace

EntryPath parse_entry_path(std::string_view path) {
  if (path.empty()) throw Error(Errc::invalid, "it has an empty name");
  if (path.size() >= PATH_MAX + extra_bytes(path.substr(path.rfind('/') + 1)))
    throw Error::make(Errc::invalid, "its name is longer than {} bytes", PATH_MAX - 1);
  EntryPath result{.parent = {}, .name = "."};
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size() + (part.size() < path.size() ? 1 : 0));
    if (part.empty() || part == ".") continue;
    if (part == "..") throw Error(Errc::invalid, "its name leaves the layer with '..'");
    if (part.size() > NAME_MAX + extra_bytes(part))
      throw Error::make(Errc::invalid, "a part of its name is longer than {} bytes", NAME_MAX);
    if (!result.is_root()) {
      if (result.name.starts_with(kWhiteoutPrefix)) throw Error(Errc::invalid, "it lies below a removal");
      result.parent = result.full();
    }
    result.name = part;
  }
  return result;
}

bool is_aufs_metadata(std::string_view path) {
  while (path.starts_with("/") || path.starts_with("./")) path.remove_prefix(path.front() == '/' ? 1 : 2);
  return path.starts_with(kMetadataPrefix) && path != kOpaqueName;
}

Removal parse_removal(std::string_view name) {
  if (!name.starts_with(kWhiteoutPrefix)) return Removal::none;
  if (name == kOpaqueName) return Removal::opaque;
  const std::string_view removed = name.substr(kWhiteoutPrefix.size());
  if (removed.empty() || removed == "." || removed == "..")
    throw Error(Errc::invalid, "it is a removal that names nothing");
  if (removed.starts_with(kWhiteoutPrefix)) throw Error(Errc::invalid, "its name is reserved");
  return Removal::name;
}

std::string shown_path(std::string_view path) {
  constexpr std::size_t kShown = 200;
  return printable(path.substr(0, kShown)) + (path.size() > kShown ? "…" : "");
}

}  // namespace lay::layerstore
