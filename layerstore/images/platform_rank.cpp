#include "layerstore/platform_rank.h"

#include <limits>
#include <string_view>

#include "base/text.h"

namespace lay::layerstore {

namespace {

/// Variants "vN" are levels: a machine runs all up to its own. Without a variant: what every machine of that
/// architecture runs. Empty for variants of other kinds.
std::optional<std::uint64_t> level_of(const Platform& platform) {
  if (platform.variant.starts_with('v')) return parse_number(std::string_view(platform.variant).substr(1));
  if (!platform.variant.empty()) return std::nullopt;
  if (platform.architecture == "arm64") return 8;
  return platform.architecture == "amd64" ? 1 : 0;
}

}  // namespace

std::optional<std::uint64_t> platform_rank(const Platform& offered, const Platform& wanted) {
  constexpr std::uint64_t kUsualArm = 7;
  if (offered.os != wanted.os || offered.architecture != wanted.architecture) return std::nullopt;
  if (offered.variant == wanted.variant) return std::numeric_limits<std::uint64_t>::max();
  const auto level = level_of(offered);
  const auto most = level_of(wanted);
  if (wanted.variant.empty()) {  // any, but rather one that most machines run
    const std::uint64_t usual = wanted.architecture == "arm" ? kUsualArm : *most;
    return level && *level <= usual ? 1 + *level : 0;
  }
  if (!most) return offered.variant.empty() ? std::optional<std::uint64_t>(0) : std::nullopt;
  return level && *level <= *most ? level : std::nullopt;
}

}  // namespace lay::layerstore
