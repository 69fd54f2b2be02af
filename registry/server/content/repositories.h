#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "layerstore/descriptor.h"

namespace lay::registry::server {

/// What the registry notes of a manifest when it is pushed, so that nothing has to read it again to know.
struct ManifestRecord {
  layerstore::Descriptor descriptor;
  std::vector<layerstore::Digest> refers_to;  ///< config and layers, or the entries of an index
  std::optional<layerstore::Digest> subject;
  std::string artifact_type;     ///< as distribution-spec "Listing Referrers" wants it
  bool has_sound_config = true;  ///< a container image's config among what it refers to can be read

  bool operator==(const ManifestRecord&) const = default;
};

/// A tag that is no name of the store: lay cannot run what it leads to, or the store has names enough.
struct TagRecord {
  layerstore::Digest digest;
  std::string media_type;
};

/// The order of all lists, of tags as of repositories: lexical, where case counts only between those that are
/// else alike (distribution-spec "Listing Tags").
bool comes_before(std::string_view first, std::string_view second);

/// One link, and when it was last made or used.
struct Link {
  layerstore::Digest digest;
  std::chrono::system_clock::time_point used;
};

/// ROOT/registry/repositories (docs/architecture.md, "A registry in the store"): which blob and manifest may
/// be seen in which repository. Every change is durable when its function returns, and whole or not there
/// after a crash. Names are checked by whoever parsed the request. May be called by several threads.
class Repositories {
 public:
  /// Opens `root`/repositories, making it when absent. `root` is ROOT/registry.
  explicit Repositories(const UniqueFd& root);

  /// Names of all repositories that hold something, sorted.
  std::vector<std::string> list() const;
  /// Names of `limit` of them at most, in no order.
  std::vector<std::string> list_some(std::size_t limit) const;
  bool exists(const std::string& repository) const;
  /// When links, records and tags last came or went, each: as long as these times stay the same, so do they.
  /// The use of a link is no such change.
  std::array<std::chrono::system_clock::time_point, 3> change_times(const std::string& repository) const;
  /// Forgets a repository without a link, record or tag. Nobody else may change it meanwhile.
  void remove_if_empty(const std::string& repository) const;

  bool has_blob(const std::string& repository, const layerstore::Digest& digest) const;
  void link_blob(const std::string& repository, const layerstore::Digest& digest) const;
  /// Notes that the link is in use, so that it is not taken for a forgotten one.
  void touch_blob(const std::string& repository, const layerstore::Digest& digest) const;
  bool unlink_blob(const std::string& repository, const layerstore::Digest& digest) const;
  std::vector<Link> blobs(const std::string& repository) const;

  /// Throws corrupt when the record is there and cannot be read.
  std::optional<ManifestRecord> manifest(const std::string& repository,
                                         const layerstore::Digest& digest) const;
  void put_manifest(const std::string& repository, const ManifestRecord& record) const;
  void touch_manifest(const std::string& repository, const layerstore::Digest& digest) const;
  bool remove_manifest(const std::string& repository, const layerstore::Digest& digest) const;
  std::vector<Link> manifests(const std::string& repository) const;
  /// Manifests of the repository whose subject is `digest`, sorted by digest.
  std::vector<Link> referrers(const std::string& repository, const layerstore::Digest& digest) const;

  std::optional<TagRecord> tag(const std::string& repository, const std::string& tag) const;
  void put_tag(const std::string& repository, const std::string& tag, const TagRecord& record) const;
  bool remove_tag(const std::string& repository, const std::string& tag) const;
  std::vector<std::string> tags(const std::string& repository) const;
  /// Those behind `last` as comes_before() has it, in no order: of very many tags a page needs few.
  std::vector<std::string> tags_behind(const std::string& repository, const std::string& last) const;

 private:
  UniqueFd open_part(const std::string& repository, const std::string& part) const;
  std::optional<UniqueFd> try_open_part(const std::string& repository, const std::string& part) const;
  void make(const std::string& repository) const;

  UniqueFd folder_;
};

/// Every blob that the registry of this store needs: none may be collected. Read from the folder alone, so
/// that it works beside a running server and without one. Throws corrupt when a record cannot be read.
std::set<layerstore::Digest> blobs_needed_by(const UniqueFd& registry_folder);

}  // namespace lay::registry::server
