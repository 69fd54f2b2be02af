#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "diff/inode.h"

namespace lay::layerstore {

/// What one layer has at a path.
struct Presence {
  enum class Kind { absent, folder, symlink, whiteout, other };

  Kind kind = Kind::absent;
  bool is_opaque = false;    ///< a folder that hides what the layers below have in it
  bool hides_below = false;  ///< nothing of the layers below shows at the path
  std::string target;        ///< of a symlink
};

/// A layer in overlay's notation, looked up path by path; each path is read once.
class LowerFolder {
 public:
  /// Opened at the first look. `looks` counts what those of a whole stack cost in memory; it is kept by
  /// reference.
  LowerFolder(std::string path, std::uint64_t& looks) : path_(std::move(path)), looks_(&looks) {}

  const std::string& path() const { return path_; }
  /// `path` is relative, "" for the root. Throws unsupported when a stack takes more looks than any image
  /// needs.
  const Presence& at(const std::string& path);

 private:
  void charge(std::uint64_t cost);
  Presence look_up(const std::string& path);
  std::optional<UniqueFd> open_node(const std::string& path);

  std::string path_;
  std::uint64_t* looks_;
  UniqueFd folder_;
  LastFolder last_;
  std::unordered_map<std::string, Presence> known_;
};

/// What overlay shows at `path` of these lowers, topmost first: of several folders the first.
Presence shown_at(std::span<LowerFolder> lowers, const std::string& path);

/// Those of the lowers whose folders at `path` overlay merges to the one it shows, topmost first; none where
/// it shows something else.
std::vector<std::size_t> merged_at(std::span<LowerFolder> lowers, const std::string& path);

/// "a/b" of "a/b/c", "" of "a".
std::string parent_of(const std::string& path);

}  // namespace lay::layerstore
