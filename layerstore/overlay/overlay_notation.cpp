#include "overlay/overlay_notation.h"

#include <sys/sysmacros.h>

#include <array>

namespace lay::layerstore {

namespace {

constexpr std::array<std::string_view, 2> kNamespaces{"trusted.", "user."};
constexpr std::string_view kOverlay = "overlay.";

}  // namespace

bool is_whiteout_node(const struct ::stat& status) {
  return S_ISCHR(status.st_mode) && gnu_dev_major(status.st_rdev) == 0 && gnu_dev_minor(status.st_rdev) == 0;
}

std::optional<std::string_view> overlay_xattr(std::string_view name) {
  for (const std::string_view space : kNamespaces)
    if (name.starts_with(space) && name.substr(space.size()).starts_with(kOverlay))
      return name.substr(space.size() + kOverlay.size());
  return std::nullopt;
}

bool is_trusted_overlay_xattr(std::string_view name) {
  return name.starts_with(kNamespaces[0]) && overlay_xattr(name).has_value();
}

std::optional<std::string> unescaped_overlay_xattr(std::string_view name) {
  const auto rest = overlay_xattr(name);
  if (!rest || !rest->starts_with(kOverlay)) return std::nullopt;
  return std::string(name.substr(0, name.find('.') + 1)) + std::string(*rest);
}

bool is_overlay_mark(std::string_view name) {
  return overlay_xattr(name) && !unescaped_overlay_xattr(name);
}

bool is_user_mark(std::string_view name) {
  return name.starts_with(kNamespaces[1]) && is_overlay_mark(name);
}

std::string stored_xattr_name(std::string_view name) {
  if (!is_trusted_overlay_xattr(name)) return std::string(name);
  const std::size_t behind = kNamespaces[0].size() + kOverlay.size();
  return std::string(name.substr(0, behind)) + std::string(kOverlay) + std::string(name.substr(behind));
}

std::optional<std::string> shown_xattr_name(std::string_view name) {
  if (!is_trusted_overlay_xattr(name)) return std::string(name);
  return unescaped_overlay_xattr(name);
}

}  // namespace lay::layerstore
