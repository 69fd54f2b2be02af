#include "client.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "api_error.h"
#include "base/error.h"
#include "base/text.h"
#include "layerstore/media_types.h"
#include "redirect.h"

namespace lay::registry {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
namespace media_type = layerstore::media_type;

std::optional<Credentials> find_credentials(const Reference& reference, const Connection& connection) {
  if (connection.credentials) return connection.credentials;
  return CredentialStore(connection.authfile).find(reference.domain, reference.repository);
}

std::string accept_header() {
  return fmt::format("Accept: {}, {}, {}, {}", media_type::kManifest, media_type::kIndex,
                     media_type::kDockerManifest, media_type::kDockerIndex);
}

Digest hash_of(const std::string& bytes, layerstore::DigestAlgorithm algorithm) {
  layerstore::Hasher hasher(algorithm);
  hasher.update(std::as_bytes(std::span(bytes)));
  return hasher.finish();
}

/// The digest a registry says a document has; empty when it says nothing.
std::optional<Digest> named_digest(const HttpResponse& response) {
  const std::string text = response.headers.get("docker-content-digest");
  if (text.empty()) return std::nullopt;
  return with_context("docker-content-digest", [&] { return Digest::parse(text); });
}

/// The digest of `bytes`; throws corrupt when it is not the one that was asked
/// for or that the registry names.
Digest verify_document(const std::string& bytes, const std::optional<Digest>& expected,
                       const HttpResponse& response) {
  const std::optional<Digest> named = named_digest(response);
  const std::optional<Digest>& wanted = expected ? expected : named;
  const Digest got = hash_of(bytes, wanted ? wanted->algorithm() : layerstore::DigestAlgorithm::sha256);
  if (wanted && got != *wanted)
    throw Error::make(Errc::corrupt, "got {}, expected {}", got.to_string(), wanted->to_string());
  return got;
}

/// Keeps what its target throws, so that a full disk here is not told as the registry's failure.
class KeepingSink final : public ByteSink {
 public:
  explicit KeepingSink(ByteSink& target) : target_(target) {}
  void write(std::span<const std::byte> bytes) override {
    try {
      target_.write(bytes);
    } catch (...) {
      failure_ = std::current_exception();
      throw Error(Errc::cancelled, "given up");
    }
  }
  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  ByteSink& target_;
  std::exception_ptr failure_;
};

std::string without_parameters(std::string content_type) {
  content_type.resize(std::min(content_type.find_first_of("; \t"), content_type.size()));
  return content_type;
}

}  // namespace

HttpOptions http_options(const std::string& domain, const Connection& connection) {
  if (connection.tls_verify == TlsVerify::required) return {};
  return {.unverified_host = plan_endpoints(domain, connection.tls_verify).front().host()};
}

/// Puts the registry's name in front of what goes wrong, and says how to log in where that may help.
template <class Body>
decltype(auto) RegistryClient::in_context(Body&& body) const {
  try {
    return with_context("registry " + domain_, std::forward<Body>(body));
  } catch (Error& error) {
    const bool is_refusal = error.code() == Errc::unauthorized || error.code() == Errc::denied;
    if (is_refusal && error.error_number() == 0 && error.hint().empty())
      error.with_hint(fmt::format("log in with a user who may do this: lay login {}", domain_));
    throw;
  }
}

RegistryClient::RegistryClient(const Reference& reference, Access access, const Connection& connection)
    : domain_(reference.domain),
      repository_(reference.repository),
      scope_(fmt::format("repository:{}:{}", repository_, access == Access::pull ? "pull" : "pull,push")),
      http_(http_options(domain_, connection)),
      endpoint_(find_endpoint(http_, domain_, connection.tls_verify)),
      authorizer_(http_, endpoint_, domain_, find_credentials(reference, connection)) {
  if (endpoint_.greeting.status != 401) return;
  in_context([&] { authorizer_.prepare(endpoint_.greeting, scope_); });
}

Url RegistryClient::url_of(const std::string& path) const {
  return endpoint_.base.resolve(fmt::format("/v2/{}/{}", repository_, path));
}

/// Sends with what the registry is known to want, and once more when it turns out to want something else.
HttpResponse RegistryClient::exchange(HttpRequest request) const {
  const bool is_ours = request.url.same_origin(endpoint_.base);
  if (is_ours) request.authorization = authorizer_.current(scope_);
  HttpResponse response = http_.follow(request);
  if (response.status != 401 || !is_ours || !response.url.same_origin(endpoint_.base)) return response;
  request.authorization = authorizer_.answer(response, scope_, request.authorization, request.stop);
  return http_.follow(std::move(request));
}

Document RegistryClient::get_manifest(const std::string& selector,
                                      const std::optional<Digest>& expected) const {
  return in_context([&] {
    const std::string what = fmt::format("{}{}{}", repository_, expected ? '@' : ':', selector);
    HttpResponse response = exchange({.url = url_of("manifests/" + selector), .headers = {accept_header()}});
    if (!response.ok()) throw api_error(response, what);
    if (to_lower(response.headers.get("content-type")).starts_with("text/html"))
      throw Error::make(Errc::unavailable, "{}: answers with an HTML page, expected a manifest", what)
          .with_hint("something else than a registry may listen there");
    const Digest digest =
        with_context(what, [&] { return verify_document(response.body, expected, response); });
    return Document{std::move(response.body), without_parameters(response.headers.get("content-type")),
                    digest};
  });
}

bool RegistryClient::has_blob(const Digest& digest, const std::stop_token& stop) const {
  return in_context([&] {
    const HttpResponse response =
        exchange({.method = "HEAD", .url = url_of("blobs/" + digest.to_string()), .stop = stop});
    if (!response.ok() && response.status != 404) throw api_error(response, "blob " + digest.to_string());
    return response.ok();
  });
}

void RegistryClient::get_blob(const Descriptor& blob, ByteSink& out, const std::stop_token& stop) const {
  KeepingSink sink(out);
  try {
    in_context([&] {
      const std::string path = "blobs/" + blob.digest.to_string();
      const HttpResponse response =
          exchange({.url = url_of(path), .sink = &sink, .limit = blob.size, .stop = stop});
      if (!response.ok()) throw api_error(response, "blob " + blob.digest.to_string());
    });
  } catch (const Error&) {
    sink.rethrow_failure();
    throw;
  }
}

std::string RegistryClient::read_blob(const Descriptor& blob) const {
  const std::string what = "blob " + blob.digest.to_string();
  if (blob.size > kMaxJsonBytes)
    throw Error::make(Errc::invalid, "{}: {} bytes, expected at most {}", what, blob.size, kMaxJsonBytes);
  StringSink sink;
  get_blob(blob, sink, {});
  return in_context([&] {
    if (sink.text().size() != blob.size)
      throw Error::make(Errc::corrupt, "{}: got {} bytes, expected {}", what, sink.text().size(), blob.size);
    const Digest got = hash_of(sink.text(), blob.digest.algorithm());
    if (got != blob.digest)
      throw Error::make(Errc::corrupt, "{}: got {}, expected {}", what, got.to_string(),
                        blob.digest.to_string());
    return sink.text();
  });
}

/// distribution-spec "Pushing a blob monolithically", POST then PUT: where the bytes go.
Url RegistryClient::begin_upload(const Digest& digest, const std::stop_token& stop) const {
  const HttpResponse response =
      exchange({.method = "POST", .url = url_of("blobs/uploads/"), .body = text_body("", ""), .stop = stop});
  if (!response.ok()) throw api_error(response, "begin the upload of blob " + digest.to_string());
  const std::string location = response.headers.get("location");
  if (location.empty()) throw Error(Errc::unavailable, "accepts an upload, but does not say where it goes");
  const Url url = with_context("upload address", [&] { return response.url.resolve(location); });
  check_not_downgraded(endpoint_.base, url);
  return url.with_query("digest", digest.to_string());
}

void RegistryClient::put_blob(const Descriptor& blob,
                              const std::function<std::unique_ptr<ByteSource>()>& open,
                              const std::stop_token& stop) const {
  in_context([&] {
    HttpRequest request{.method = "PUT",
                        .url = begin_upload(blob.digest, stop),
                        .body = RequestBody{open, blob.size, "application/octet-stream"},
                        .stop = stop};
    if (!request.url.same_origin(endpoint_.base))
      request.nearest = std::max(endpoint_.greeting.peer, AddressClass::internal);
    const HttpResponse response = exchange(std::move(request));
    if (!response.ok()) throw api_error(response, "upload of blob " + blob.digest.to_string());
  });
}

void RegistryClient::put_manifest(const std::string& selector, const Descriptor& manifest,
                                  const std::string& bytes) const {
  in_context([&] {
    const HttpResponse response = exchange({.method = "PUT",
                                            .url = url_of("manifests/" + selector),
                                            .body = text_body(bytes, manifest.media_type)});
    if (!response.ok()) throw api_error(response, fmt::format("manifest of {}:{}", repository_, selector));
    const std::optional<Digest> stored = named_digest(response);
    if (stored && stored->algorithm() == manifest.digest.algorithm() && *stored != manifest.digest)
      throw Error::make(Errc::corrupt, "the manifest is stored as {}, expected {}", stored->to_string(),
                        manifest.digest.to_string());
  });
}

}  // namespace lay::registry
