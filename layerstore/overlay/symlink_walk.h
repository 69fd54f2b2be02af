#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace lay::layerstore {

constexpr int kMaxSymlinks = 40;  ///< on one way, as the kernel, path_resolution(7)

/// Puts the components of `path` in front of `rest`.
void prepend_components(std::deque<std::string>& rest, std::string_view path);

/// Throws unsupported: a few symlinks can ask for 80,000 steps at each entry.
void require_few_steps(std::uint64_t steps);

/// What a walk met at a name.
struct WalkStep {
  enum class Met { folder, symlink, end };
  Met met;
  std::string target = {};  ///< of a symlink
};

enum class WalkResult { arrived, ended, too_many_symlinks };

/// Goes along `path` by single components, symlinks followed as if the root were "/". `place` is where the
/// walk stands, first the root. It has
///   void to_root()
///   void to_parent()              the root's parent is the root
///   WalkStep step(std::string)    goes into the folder of that name; stays at a symlink or an end
///   std::uint64_t& steps()        how many were taken behind symlinks, in all walks of a layer
template <class Place>
WalkResult walk_symlinks(std::string_view path, Place& place) {
  std::deque<std::string> rest;
  prepend_components(rest, path);
  int symlinks = 0;
  while (!rest.empty()) {
    std::string name = std::move(rest.front());
    rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (symlinks > 0) require_few_steps(++place.steps());
    if (name == "..") {
      place.to_parent();
      continue;
    }
    const WalkStep step = place.step(std::move(name));
    if (step.met == WalkStep::Met::folder) continue;
    if (step.met == WalkStep::Met::end) return WalkResult::ended;
    if (++symlinks > kMaxSymlinks) return WalkResult::too_many_symlinks;
    if (step.target.starts_with('/')) place.to_root();
    prepend_components(rest, step.target);
  }
  return WalkResult::arrived;
}

}  // namespace lay::layerstore
