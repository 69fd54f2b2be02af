#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "auth/authorizer.h"
#include "client/endpoint.h"
#include "http/http.h"
#include "layerstore/descriptor.h"
#include "layerstore/partial.h"
#include "registry/reference.h"
#include "registry/registries_conf.h"
#include "registry/transfer.h"

namespace lay::registry {

class BlobRange;
class KeepingSink;

/// A manifest or index as it came.
struct Document {
  std::string bytes;
  std::string content_type;  ///< without parameters; empty when the registry gave none
  layerstore::Digest digest;
};

enum class Access { pull, push, remove };

/// Where an upload's bytes go.
struct UploadStart {
  Url url;
  std::uint64_t min_chunk = 0;  ///< bytes that every chunk but the last has to have (OCI-Chunk-Min-Length)
};

struct UploadStatus {
  Url url;
  std::uint64_t offset = 0;  ///< bytes the registry holds
};

/// Bytes of a blob that one request sends.
struct UploadPiece {
  Url url;
  layerstore::Digest digest;  ///< of the blob
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool is_last = true;  ///< ends the upload
};

/// One repository of one registry (distribution-spec "API"). May be used from any thread.
/// Every error names the registry; what `stop` ends is Errc::cancelled.
class RegistryClient {
 public:
  /// Finds out how the registry is reached and what it wants; throws unavailable, unauthorized.
  RegistryClient(const Reference& reference, Access access, const Connection& connection);

  /// A manifest or index by tag or digest. Its bytes are verified against `expected`, or else against the
  /// digest that the registry names; throws corrupt, not_found.
  Document get_manifest(const std::string& selector, const std::optional<layerstore::Digest>& expected) const;
  bool has_blob(const layerstore::Digest& digest, const std::stop_token& stop) const;
  /// Writes the bytes from `offset` on to `out`, which verifies them and is not finished here; never more
  /// than there should be. A connection that breaks is taken up where it broke.
  void get_blob(const layerstore::Descriptor& blob, std::uint64_t offset, ByteSink& out,
                const std::stop_token& stop) const;
  /// Writes the `size` bytes from `offset` on. Throws unsupported when the registry serves no ranges, limited
  /// as below.
  void get_blob_piece(const layerstore::Descriptor& blob, std::uint64_t offset, std::uint64_t size,
                      ByteSink& out, const std::stop_token& stop) const;
  /// The bytes of several parts, by one request. Empty when the registry does not answer that with those
  /// parts: not every one does, nor every store behind one. Throws limited when it wants to be asked later
  /// than there is patience for.
  std::optional<std::vector<std::string>> get_blob_pieces(const layerstore::Descriptor& blob,
                                                          std::span<const layerstore::BlobPart> parts,
                                                          const std::stop_token& stop) const;
  /// A small blob, verified.
  std::string read_blob(const layerstore::Descriptor& blob) const;

  /// The digest a manifest is stored under, as the registry says; empty when there is none, or it does not
  /// say.
  std::optional<layerstore::Digest> find_manifest(const std::string& selector) const;

  /// Whether the registry has that manifest there, and for itself: `lay serve` also shows what only a name of
  /// its store leads to, and says so. That goes with the name unless it is pushed.
  bool keeps_manifest(const std::string& selector, const layerstore::Digest& digest) const;

  /// Begins an upload (distribution-spec "POST then PUT").
  UploadStart begin_upload(const layerstore::Digest& digest, const std::stop_token& stop) const;
  /// Asks for a blob of another repository here ("cross-repository mount"). Empty: done. Otherwise the upload
  /// that was begun instead.
  std::optional<UploadStart> mount_blob(const layerstore::Digest& digest, const std::string& from,
                                        const std::stop_token& stop) const;
  /// One request with bytes of a blob; `open` gives them anew for every try. Not repeated here.
  Answer send_piece(const UploadPiece& piece, const std::function<std::unique_ptr<ByteSource>()>& open,
                    const std::stop_token& stop) const;
  /// How far an upload is ("GET of the session"); empty when the registry does not know it any more.
  std::optional<UploadStatus> upload_status(const std::string& location, const std::stop_token& stop) const;
  /// Ends an upload that nothing is sent to; the registry may take no notice ("Canceling").
  void cancel_upload(const UploadStart& upload, const std::stop_token& stop) const;
  /// Where an answer says that the upload goes on. Throws unavailable, or invalid for places to which nothing
  /// may be sent.
  Url upload_location(const HttpResponse& response) const;
  /// Throws corrupt when the registry stored it under another digest than manifest.digest.
  void put_manifest(const std::string& selector, const layerstore::Descriptor& manifest,
                    const std::string& bytes) const;

  /// Every tag of the repository, in the registry's order ("Listing tags", page by page). Throws invalid when
  /// the pages do not end, or hold more than 64 MiB.
  std::vector<std::string> list_tags() const;
  /// Throws not_found, unsupported when the registry does not delete.
  void delete_manifest(const layerstore::Digest& digest) const;

  const std::string& domain() const { return domain_; }
  const std::string& repository() const { return repository_; }
  const Patience& patience() const { return patience_; }

 private:
  /// Empty when there is none.
  std::optional<HttpResponse> head_manifest(const std::string& selector) const;
  Url url_of(const std::string& path) const;
  Answer try_exchange(HttpRequest request, const std::string& scope) const;
  Answer try_exchange(HttpRequest request) const { return try_exchange(std::move(request), scope_); }
  void get_range(BlobRange& range, const std::stop_token& stop) const;
  void get_range_into(BlobRange& range, const KeepingSink& out, const std::stop_token& stop) const;
  HttpResponse exchange(const HttpRequest& request) const;
  std::optional<Url> next_page(const HttpResponse& response) const;
  UploadStart upload_start(const HttpResponse& response) const;
  template <class Body>
  decltype(auto) in_context(Body&& body) const;

  const std::string domain_;
  const Patience patience_;
  const std::string repository_;
  const std::string scope_;
  const HttpClient http_;
  const Endpoint endpoint_;
  mutable Authorizer authorizer_;  // keeps tokens; locks itself
};

/// `connection` as it may be used for a place that stands in for `domain`: credentials given for that do not
/// go elsewhere.
Connection connection_to(const ImageSource& source, const std::string& domain, Connection connection);

/// What a connection to `domain` needs: whose certificate is not checked.
HttpOptions http_options(const std::string& domain, const Connection& connection);

}  // namespace lay::registry
