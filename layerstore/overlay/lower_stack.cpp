#include "overlay/lower_stack.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "overlay/overlay_notation.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kMostLooked = 96U << 20U;  // some seconds, and 200 MiB
constexpr std::uint64_t kLookCost = 64;            // of memory, beside the path
constexpr std::uint64_t kSearchShare = 8;          // a path that is looked for and not kept takes time alone
constexpr std::size_t kDeep = 256;                 // bytes of a path that is opened step by step

}  // namespace

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

const Presence& LowerFolder::at(const std::string& path) {
  static const Presence kNothing{};
  static const Presence kHidden{.hides_below = true};
  const auto known = known_.find(path);
  if (known != known_.end()) return known->second;
  charge(path.size() / kSearchShare);
  if (!path.empty()) {
    const Presence& above = at(parent_of(path));
    if (above.kind != Presence::Kind::folder)
      return above.hides_below || above.kind != Presence::Kind::absent ? kHidden : kNothing;
  }
  Presence presence = look_up(path);
  return known_.emplace(path, std::move(presence)).first->second;
}

void LowerFolder::charge(std::uint64_t cost) {
  throw_if_cancelled();
  if ((*looks_ += cost) > kMostLooked)
    throw Error(Errc::unsupported, "the image's layers imply more folders than can be put together")
        .with_hint("make one layer of them: pull it elsewhere, export it from there, and import that");
}

Presence LowerFolder::look_up(const std::string& path) {
  using Kind = Presence::Kind;
  if (path.empty()) return {.kind = Kind::folder};
  const Presence& above = at(parent_of(path));
  charge(kLookCost + path.size());
  Presence presence{.hides_below = above.hides_below || above.is_opaque};
  auto node = open_node(path);
  if (!node) return presence;
  const struct ::stat status = sys::stat_of(*node);
  presence.kind = S_ISDIR(status.st_mode)    ? Kind::folder
                  : S_ISLNK(status.st_mode)  ? Kind::symlink
                  : is_whiteout_node(status) ? Kind::whiteout
                                             : Kind::other;
  if (presence.kind == Kind::folder) presence.is_opaque = sys::get_xattr(*node, kOpaqueXattr) == "y";
  if (presence.kind == Kind::symlink) presence.target = sys::readlink_at(*node, "");
  charge(presence.target.size());
  if (presence.kind == Kind::folder && path.size() > kDeep) last_.keep(std::move(*node), path);
  return presence;
}

/// Most paths lie in the folder that was found before, which may lie deep.
std::optional<UniqueFd> LowerFolder::open_node(const std::string& path) {
  if (!folder_) folder_ = sys::open_at(sys::cwd(), path_, O_PATH | O_DIRECTORY);
  const LastFolder::Way way = last_.way_to(folder_, path);
  return sys::try_open_at(way.from, way.path, O_PATH | O_NOFOLLOW);
}

Presence shown_at(std::span<LowerFolder> lowers, const std::string& path) {
  for (LowerFolder& lower : lowers) {
    const Presence& presence = lower.at(path);
    if (presence.kind == Presence::Kind::whiteout) return {};
    if (presence.kind != Presence::Kind::absent) return presence;
    if (presence.hides_below) return {};
  }
  return {};
}

std::vector<std::size_t> merged_at(std::span<LowerFolder> lowers, const std::string& path) {
  std::vector<std::size_t> merged;
  for (std::size_t i = 0; i < lowers.size(); ++i) {
    const Presence& presence = lowers[i].at(path);
    if (presence.kind == Presence::Kind::folder) merged.push_back(i);
    if (presence.kind != Presence::Kind::folder && presence.kind != Presence::Kind::absent) break;
    if (presence.hides_below || presence.is_opaque) break;
  }
  return merged;
}

}  // namespace lay::layerstore
