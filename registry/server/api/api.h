#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "layerstore/store.h"
#include "server/access/access_rules.h"
#include "server/api/response.h"
#include "server/content/image_names.h"
#include "server/content/left_blobs.h"
#include "server/content/repositories.h"
#include "server/content/uploads.h"

namespace lay::registry::server {

/// A lock for each repository: manifests of several are pushed side by side, each waiting for the disk. Two
/// repositories may share one, so nobody holds two.
class RepositoryLocks {
 public:
  std::unique_lock<std::mutex> hold(const std::string& repository) {
    return std::unique_lock(locks_[std::hash<std::string>{}(repository) % locks_.size()]);
  }

 private:
  std::array<std::mutex, 64> locks_;
};

/// What lies on disk, and what its parts share.
struct Registry {
  const layerstore::Store& store;
  const Repositories repositories;
  ImageNames names;
  Uploads uploads;
  /// Held while a manifest or tag of a repository changes, and while its forgotten links go: a manifest is
  /// linked only where all it refers to is, and stays so. Taken behind Store::share().
  RepositoryLocks changing;
};

struct ParsedManifest;
enum class Writes { accepted, refused };

/// distribution-spec 1.1, apart from HTTP: what each request does to a registry.
class Api {
 public:
  /// `rules` says who may do what; with Writes::refused nobody may more than read.
  /// `report` hears of failures of other registries, and of images that contradict themselves.
  Api(Registry& registry, AccessRules rules, Writes writes, std::function<void(const Error&)> report);

  /// Judges a request by its headers. Throws Refusal; 401 where credentials could help.
  Action begin(const Request& request);
  /// Bytes of manifests that are being received.

 private:
  bool may(const Request& request, const std::string& repository, Right right) const;
  void require(const Request& request, Right right) const;

  // api_lists.cpp
  Response list_tags(const Request& request);
  Response list_repositories(const Request& request);
  Response list_referrers(const Request& request);

  // api_blobs.cpp
  bool is_visible(const std::string& repository, const layerstore::Digest& digest);
  Action read_blob(const Request& request);
  void bring_blob(const Request& request, const layerstore::Digest& digest, const Askers& askers);
  void check_blob(const Request& request, const layerstore::Digest& digest);
  std::vector<BlobPair> unseen_pairs(const std::string& repository, const layerstore::Digest& digest);
  Response get_blob(const Request& request);
  Response delete_blob(const Request& request);

  // api_uploads.cpp
  Action begin_upload(const Request& request);
  std::optional<Response> try_mount(const Request& request);
  bool can_mount_from(const Request& request, const std::string& repository,
                      const layerstore::Digest& digest);
  bool is_linked_somewhere(const Request& request, const layerstore::Digest& digest);
  Action append(const Request& request);
  Action complete_upload(const Request& request);
  Action receive_whole(const Request& request, const layerstore::Digest& digest);
  Response upload_status(const Request& request);
  Response cancel_upload(const Request& request);
  Response commit(UploadClaim& claim, const layerstore::Digest& digest);

  // api_manifests.cpp
  std::optional<layerstore::Descriptor> resolve(const std::string& repository, const std::string& reference);
  /// Whether what resolve() gives is the registry's own, and stays when the local names of its store go.
  bool is_pushed(const std::string& repository, const std::string& reference);
  Response get_manifest(const Request& request);
  Action receive_manifest(const Request& request);
  Response put_manifest(const Request& request, const std::string& bytes);
  void require_parts(const std::string& repository, const ParsedManifest& parsed);
  bool is_nameable(const std::string& repository, const ManifestRecord& record);
  bool is_sound(const std::string& repository, const ManifestRecord& record, int depth,
                std::set<layerstore::Digest>& seen);
  void set_tag(const std::string& repository, const std::string& tag, const ManifestRecord& record);
  Response delete_manifest(const Request& request);
  void delete_tag(const std::string& repository, const std::string& tag, const layerstore::Descriptor& old);

  Registry& registry_;
  const AccessRules rules_;
  const Writes writes_;
  LeftBlobs left_;
  std::atomic<std::uint64_t> manifest_memory_ = 0;
};

/// "/v2/<repository>/blobs/<digest>" and the like, as a Location.
std::string location_of(const std::string& repository, const std::string& rest);
/// The ETag of what has that digest.
std::string etag_of(const layerstore::Digest& digest);
/// Whether the client has it already, and asks only for another one (RFC 9110 section 13.1.2): 304.
bool is_known(const Request& request, const std::string& etag);
/// A JSON document.
Response json_response(int status, const std::string& document, const std::string& content_type);
/// An error document (distribution-spec "Error Codes").
Response error_response(const Refusal& refusal);

}  // namespace lay::registry::server
