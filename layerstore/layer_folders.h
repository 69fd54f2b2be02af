#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "tar_entry.h"

namespace lay::layerstore {

/// The folders of a layer that is being unpacked: finds the one an entry lies in, makes those that the tar
/// only implies, and gives them their times when nothing is created in them any more. Symlinks on the way are
/// followed as if `target` were "/", so nothing outside is ever reached.
class LayerFolders {
 public:
  /// `target` must outlive it.
  explicit LayerFolders(const UniqueFd& target) : target_(target) {}

  /// The folder at `path` ("" for the root), valid until the next call. Throws invalid when a part of it is
  /// no folder, io when symlinks go in circles.
  const UniqueFd& find(const std::string& path);
  /// To be called when something that `find` may have passed was removed.
  void forget();
  /// Makes the folder at `path` opaque: nothing of the lower layers shows through.
  void make_opaque(const UniqueFd& parent, const std::string& name, std::string path);
  /// Makes the whiteout `name` in the folder at `path`, unless the layer has something of that name: a
  /// removal reaches the lower layers only, in whichever order the two come.
  void add_whiteout(const std::string& path, const std::string& name);
  /// Notes what finish() has to set on the folder `name` in `parent`, which is `path`.
  void set_late(const UniqueFd& parent, const std::string& name, std::string path, const timespec& mtime,
                std::optional<Xattr> default_acl);
  /// The folder at `path` has an entry of its own.
  void forget_implied(const std::string& path) { implied_.erase(path); }
  /// Returns the paths of the folders that the tar only implies, parents first.
  std::vector<std::string> finish();

 private:
  struct Late {
    std::string path;
    dev_t device;
    ino_t inode;
    timespec mtime;
    std::optional<Xattr> default_acl;  ///< set late: until then, children would inherit it
  };

  struct Whiteout {
    std::string folder;
    std::string name;
  };

  void drop_needless_whiteouts();
  bool lies_in_opaque(std::string_view folder) const;
  UniqueFd resolve_slowly(const std::string& path);
  UniqueFd enter(const UniqueFd& parent, const std::string& name, const std::string& path);

  const UniqueFd& target_;
  std::string current_path_;
  UniqueFd current_;
  std::vector<Late> late_;
  std::vector<Whiteout> whiteouts_;
  std::set<std::string, std::less<>> opaque_;  ///< paths of folders
  std::set<std::string> implied_;              ///< paths of folders that were made for others
};

}  // namespace lay::layerstore
