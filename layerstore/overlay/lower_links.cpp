#include "overlay/lower_links.h"

#include <climits>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "overlay/symlink_walk.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxSteps = 1'000'000;
constexpr std::size_t kMaxLinks = 128;  // each is held open while a layer is unpacked

using Links = std::map<std::string, std::string>;
using Kind = Presence::Kind;

/// Where paths lead, symlinks followed as if the root were "/".
class Ways {
 public:
  Ways(LowerFolder& own, std::span<LowerFolder> lowers) : own_(own), lowers_(lowers) {}

  /// Follows `path`; each is followed from where the one above it leads.
  void follow(const std::string& path) { end_of(path); }
  const Links& links() const { return links_; }

 private:
  /// The end of a way: a path through no symlink, where a folder is or may be made. Empty: there is no way.
  using End = std::optional<std::string>;

  const End& end_of(const std::string& path) {
    const auto known = ends_.find(path);
    if (known != ends_.end()) return known->second;
    End end = path.empty() ? End("") : step(end_of(parent_of(path)), path.substr(path.rfind('/') + 1));
    return ends_.emplace(path, std::move(end)).first->second;
  }

  Presence shown_below(const std::string& path) {
    if (++steps_ > kMaxSteps)
      throw Error(Errc::unsupported, "its folders lead through too many symlinks of the layers below");
    return own_.at(path).hides_below ? Presence() : shown_at(lowers_, path);
  }

  End step(const End& above, const std::string& name) {
    if (!above) return std::nullopt;
    const std::string reached = above->empty() ? name : *above + "/" + name;
    if (reached.size() >= PATH_MAX || name.size() > NAME_MAX) return std::nullopt;
    const Presence shown = shown_below(reached);
    if (shown.kind == Kind::symlink) return walk(reached);
    return shown.kind == Kind::other ? std::nullopt : End(reached);
  }

  /// Where a walk stands, and the symlinks it passed.
  struct Place {
    void to_root() { passed.clear(); }
    void to_parent() {
      if (!passed.empty()) passed.pop_back();
    }
    WalkStep step(std::string name) {
      if (name.size() > NAME_MAX) return {WalkStep::Met::end};
      passed.push_back(std::move(name));
      const std::string reached = join(passed, "/");
      if (reached.size() >= PATH_MAX) return {WalkStep::Met::end};
      const Presence shown = ways.shown_below(reached);
      if (shown.kind == Kind::other) return {WalkStep::Met::end};
      if (shown.kind != Kind::symlink) return {WalkStep::Met::folder};
      links.emplace(reached, shown.target);
      passed.pop_back();
      return {WalkStep::Met::symlink, shown.target};
    }

    std::uint64_t& steps() { return ways.link_steps_; }

    Ways& ways;
    std::vector<std::string> passed = {};
    Links links = {};
  };

  End walk(const std::string& path) {
    Place place{*this};
    if (walk_symlinks(path, place) != WalkResult::arrived) return std::nullopt;
    links_.merge(place.links);
    return join(place.passed, "/");
  }

  LowerFolder& own_;
  std::span<LowerFolder> lowers_;
  std::size_t steps_ = 0;
  std::uint64_t link_steps_ = 0;
  std::unordered_map<std::string, End> ends_;
  Links links_;
};

}  // namespace

std::vector<LowerLink> find_lower_links(LowerFolder& own, std::span<LowerFolder> lowers,
                                        const std::vector<std::string>& implied) {
  Ways ways(own, lowers);
  for (const std::string& path : implied) {
    ways.follow(path);
    if (ways.links().size() > kMaxLinks)
      throw Error::make(Errc::unsupported, "a layer leads through more than {} symlinks of those below",
                        kMaxLinks);
  }
  std::vector<LowerLink> links;
  for (const auto& [path, target] : ways.links()) links.push_back({path, target});
  return links;
}

}  // namespace lay::layerstore
