#pragma once

#include <sys/stat.h>

#include <ctime>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill_memory.h"
#include "base/unique_fd.h"
#include "layerstore/apply.h"
#include "layerstore/lower_link.h"

namespace lay::layerstore {

/// The folders of a layer that is being unpacked: finds the one an entry lies in, makes those that the tar
/// only implies, and gives them their times when nothing is created in them any more. Symlinks on the way are
/// followed as if `target` were "/", so nothing outside is ever reached.
class LayerFolders {
 public:
  /// `target` must outlive it. `spill`: of what is noted of each folder.
  LayerFolders(const UniqueFd& target, const Spill& spill)
      : target_(target), spill_(spill), memory_(spill), late_(memory_) {}

  /// Makes the symlinks, which entries go through until finish() takes them away. Each is held open as long,
  /// so that another file of the same name is told from it.
  void add_lower_links(std::span<const LowerLink> links);
  bool is_lower_link(const struct ::stat& status) const;
  /// The folder at `path` ("" for the root), valid until the next call. Throws invalid when a part of it is
  /// no folder, or symlinks go in circles.
  const UniqueFd& find(const std::string& path);
  /// Where `name` is in the folder that was found last: a path through no symlink. "." is that folder.
  std::string place_of(const std::string& name) const;
  /// To be called when something that `find` may have passed was removed.
  void forget();
  /// Makes the folder opaque: nothing of the lower layers shows through.
  void make_opaque(const UniqueFd& parent, const std::string& name);
  /// Makes the whiteout `name` in the folder at `path`, unless the layer has something of that name: a
  /// removal reaches the lower layers only, in whichever order the two come.
  void add_whiteout(const std::string& path, const std::string& name);
  /// Notes what finish() has to set on the folder `name` in `parent`, whose place is `place`.
  void set_late(const UniqueFd& parent, const std::string& name, std::string_view place,
                const timespec& mtime, std::optional<std::string_view> default_acl);
  /// The folder at that place has an entry of its own.
  void note_entry(const std::string& place) {
    if (implied_.erase(place) > 0) entered_.insert(place);
  }
  /// Something else takes the place of what is there.
  void note_replaced(const std::string& place);
  /// How many folders were made that the tar only implies.
  std::uint64_t implied_count() const { return implied_count_; }
  /// To be called last.
  StackedFolders finish();

 private:
  struct Late {
    std::string_view place;
    dev_t device;
    ino_t inode;
    timespec mtime;
    std::optional<std::string_view> default_acl;  ///< set late: until then, children would inherit it
  };

  struct MadeLink {
    std::string path;
    UniqueFd fd;
  };

  class Place;

  void drop_lower_links();
  std::vector<std::string> drop_needless_whiteouts();
  void resolve_slowly(const std::string& path);
  UniqueFd enter(const UniqueFd& parent, const std::string& name, const std::string& place);

  const UniqueFd& target_;
  std::vector<MadeLink> lower_links_;
  std::string current_path_;   ///< as it was asked for
  std::string current_place_;  ///< the same without symlinks
  UniqueFd current_;
  const Spill spill_;
  SpillMemory memory_;
  SpillArray<Late> late_;
  bool has_whiteouts_ = false;
  std::set<std::string> implied_;  ///< places of folders that were made for others
  std::set<std::string> entered_;  ///< those of them that are no longer
  std::uint64_t steps_ = 0;        ///< behind symlinks
  std::uint64_t implied_count_ = 0;
  std::uint64_t implied_bytes_ = 0;  ///< of their places
};

}  // namespace lay::layerstore
