#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "layerstore/store.h"
#include "server/content/hidden_names.h"

namespace lay::registry::server {

enum class LocalNames { served, hidden };

/// A blob of a local image, and the layer that the image's config says it is.
using BlobPair = std::pair<layerstore::Descriptor, layerstore::Digest>;

/// How many names the store may have when another is added. Every change writes all of them, so there is a
/// number beyond which a push would wait for that; tags that come later are records of Repositories, which
/// cost the same however many there are.
constexpr std::size_t kMaxStoreNames = 2000;

/// The store's image names as a registry's repositories and tags. What was pushed as team/app:1 has the name
/// that a pull from here gives it, AUTHORITY/team/app:1; a name without a host (myapp:1, as `lay commit`
/// gives them) is tag 1 of the repository myapp, which clients can read and not change. What was pulled from
/// elsewhere is not served. Whatever other processes do to names is seen at the next call. May be called by
/// several threads.
class ImageNames {
 public:
  ImageNames(const layerstore::Store& store, std::string authority, LocalNames local);

  /// Where the tag leads: what was pushed goes before a local name.
  std::optional<layerstore::Descriptor> find(const std::string& repository, const std::string& tag);
  /// Where the name leads that was pushed as this tag; empty without one.
  std::optional<layerstore::Digest> pushed(const std::string& repository, const std::string& tag);
  std::vector<std::string> tags(const std::string& repository);
  std::vector<std::string> repositories();
  /// The manifest, when a name of the repository leads to it (through an index too).
  std::optional<layerstore::Descriptor> manifest(const std::string& repository,
                                                 const layerstore::Digest& digest);
  /// Whether a manifest that a name of the repository leads to refers to the blob.
  bool reaches_blob(const std::string& repository, const layerstore::Digest& digest);
  /// The blob as those images list it, with the layer that their configs say it is: one, unless an image
  /// contradicts another, or itself. None for what is no layer.
  std::vector<BlobPair> layers_of(const std::string& repository, const layerstore::Digest& digest);

  /// False when there is no room for another name (kMaxStoreNames, or what index.json may hold): it has none
  /// then. One that is there already can always be moved.
  bool put(const std::string& repository, const std::string& tag, const layerstore::Descriptor& manifest);
  /// Removes what was pushed as this tag, unless its name leads elsewhere by now.
  void remove(const std::string& repository, const std::string& tag, const layerstore::Digest& manifest);
  /// Serves a local name of that repository and tag no more, until it leads elsewhere or show_local().
  void hide_local(const std::string& repository, const std::string& tag);
  void show_local(const std::string& repository, const std::string& tag);
  /// Shows what was hidden for a deletion that ended before the tag was gone. Called before anything is
  /// served; `has_tag` tells whether there is such a tag that is no name of the store.
  void show_tagged(const std::function<bool(const std::string& repository, const std::string& tag)>& has_tag);
  /// Gives every name that was pushed under another authority this one. Throws exists, having changed
  /// nothing, when another image has such a name: of a pull, say, from the registry that this one is to
  /// replace.
  void rename_from(const std::string& authority);

 private:
  struct Tag {
    layerstore::Descriptor descriptor;
    bool is_pushed = false;

    bool operator==(const Tag&) const = default;
  };
  struct Reach {
    std::map<layerstore::Digest, layerstore::Descriptor> manifests;
    std::set<layerstore::Digest> blobs;
    std::map<layerstore::Digest, std::vector<BlobPair>> layers;
    bool is_whole = true;  ///< nothing was absent or damaged: it stays as it is as long as the tags do
  };
  struct Repository {
    std::map<std::string, Tag> tags;
    std::optional<Reach> reach;  ///< found out when it is asked for
  };

  std::optional<std::string> renamed(const std::string& name, const std::string& authority) const;
  std::string name_of(const std::string& repository, const std::string& tag) const;
  void refresh();
  void add(const layerstore::NamedImage& named);
  Repository* repository(const std::string& name);
  bool has_room(const std::string& repository, const std::string& tag);
  const Reach& reach_of(Repository& repository) const;
  void walk(const layerstore::Descriptor& descriptor, int depth, Reach& reach) const;
  void add_layers(const layerstore::Manifest& manifest, Reach& reach) const;

  const layerstore::Store& store_;
  const std::string authority_;
  const LocalNames local_;
  std::mutex mutex_;
  HiddenNames hidden_;
  struct ::stat seen_ {};  ///< of index.json as it was read
  std::size_t count_ = 0;  ///< of all names in it, those that are not served included
  std::map<std::string, Repository> repositories_;
};

}  // namespace lay::registry::server
