#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "authorizer.h"
#include "endpoint.h"
#include "http.h"
#include "layerstore/descriptor.h"
#include "registry/reference.h"
#include "registry/transfer.h"

namespace lay::registry {

/// A manifest or index as it came.
struct Document {
  std::string bytes;
  std::string content_type;  ///< without parameters; empty when the registry gave none
  layerstore::Digest digest;
};

enum class Access { pull, push };

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
  /// Writes at most blob.size bytes to `out`, which verifies them and is not finished here.
  void get_blob(const layerstore::Descriptor& blob, ByteSink& out, const std::stop_token& stop) const;
  /// A small blob, verified.
  std::string read_blob(const layerstore::Descriptor& blob) const;

  /// Uploads one blob in one piece. `open` gives its blob.size bytes anew for every try.
  void put_blob(const layerstore::Descriptor& blob, const std::function<std::unique_ptr<ByteSource>()>& open,
                const std::stop_token& stop) const;
  /// Throws corrupt when the registry stored it under another digest than manifest.digest.
  void put_manifest(const std::string& selector, const layerstore::Descriptor& manifest,
                    const std::string& bytes) const;

 private:
  Url url_of(const std::string& path) const;
  HttpResponse exchange(HttpRequest request) const;
  Url begin_upload(const layerstore::Digest& digest, const std::stop_token& stop) const;
  template <class Body>
  decltype(auto) in_context(Body&& body) const;

  const std::string domain_;
  const std::string repository_;
  const std::string scope_;
  const HttpClient http_;
  const Endpoint endpoint_;
  mutable Authorizer authorizer_;  // keeps tokens; locks itself
};

/// What a connection to `domain` needs: whose certificate is not checked.
HttpOptions http_options(const std::string& domain, const Connection& connection);

}  // namespace lay::registry
