#include "client/client.h"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "client/api_error.h"
#include "client/upload.h"
#include "http/blob_range.h"
#include "http/lay_headers.h"
#include "http/link_header.h"
#include "http/multipart.h"
#include "http/redirect.h"
#include "http/retry.h"
#include "layerstore/media_types.h"

namespace lay::registry {

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

namespace {

using layerstore::Descriptor;
using layerstore::Digest;
namespace media_type = layerstore::media_type;

constexpr int kMaxPages = 10'000;
constexpr std::size_t kMaxTagBytes =
    std::size_t{64} * 1024 * 1024;               // of all pages, and of what is kept of them
constexpr std::uint64_t kMaxPartHeading = 1024;  // of multipart/byteranges
constexpr int kMaxRefusals = 3;                  // status 401, of one request

std::optional<Credentials> find_credentials(const Reference& reference, const Connection& connection) {
  if (connection.credentials) return connection.credentials;
  return CredentialStore(connection.authfile, connection.conf.get().credential_helpers)
      .find(reference.domain, reference.repository);
}

const char* actions_of(Access access) {
  if (access == Access::pull) return "pull";
  return access == Access::push ? "pull,push" : "pull,delete";
}

std::string accept_header() {
  return fmt::format("Accept: {}, {}, {}, {}", media_type::kManifest, media_type::kIndex,
                     media_type::kDockerManifest, media_type::kDockerIndex);
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
  const Digest got =
      layerstore::digest_of(bytes, wanted ? wanted->algorithm() : layerstore::DigestAlgorithm::sha256);
  if (wanted && got != *wanted)
    throw Error::make(Errc::corrupt, "got {}, expected {}", got.to_string(), wanted->to_string());
  return got;
}

void add_tags(std::vector<std::string>& tags, const std::string& page) {
  const Json json = parse_json(page, "tags");
  if (const Json* list = json_find(json, "tags"); list != nullptr && !list->is_null())
    for (std::string& tag : json_strings(json, "tags")) tags.push_back(std::move(tag));
}

std::string without_parameters(std::string content_type) {
  content_type.resize(std::min(content_type.find_first_of("; \t"), content_type.size()));
  return content_type;
}

/// Why a part of a blob is not to be had. Who limits requests does not want to be asked in another way, for
/// each part or for all: that is limited.
Error part_error(const HttpResponse& response, const std::string& what) {
  Error error = api_error(response, what);
  const bool comes_back = !response.headers.get("retry-after").empty();
  if (response.status != 429 && !(response.status == 503 && comes_back)) return error;
  return Error(Errc::limited, error.message()).with_hint(error.hint());
}

/// Whether the registry may have done what was asked although it, or a gateway before it, did not say so.
bool may_be_done(const Answer& answer) {
  const auto* response = std::get_if<HttpResponse>(&answer);
  return response == nullptr || response->status == 502 || response->status == 504;
}

}  // namespace

Connection connection_to(const ImageSource& source, const std::string& domain, Connection connection) {
  if (source.insecure && connection.tls_verify == TlsVerify::usual)
    connection.tls_verify = *source.insecure ? TlsVerify::off : TlsVerify::required;
  if (source.reference.domain != domain) connection.credentials.reset();
  return connection;
}

HttpOptions http_options(const std::string& domain, const Connection& connection) {
  const Url base = plan_endpoints(domain, TlsVerify::required).back();
  HttpOptions options{.tls = connection.cert_dir ? read_tls_folder(*connection.cert_dir)
                                                 : read_tls_files(cert_folders(domain)),
                      .tls_origin = fmt::format("{}:{}", base.host(), base.port()),
                      .connect_seconds = connection.patience.connect_seconds,
                      .stall_seconds = connection.patience.stall_seconds,
                      .via = connection.via,
                      .on_silence = connection.on_silence};
  if (connection.tls_verify == TlsVerify::off)
    options.unverified_host = plan_endpoints(domain, connection.tls_verify).front().host();
  return options;
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
      patience_(connection.patience),
      repository_(reference.repository),
      scope_(fmt::format("repository:{}:{}", repository_, actions_of(access))),
      http_(http_options(domain_, connection)),
      endpoint_(find_endpoint(http_, domain_, connection.tls_verify, patience_)),
      authorizer_(http_, endpoint_, domain_, find_credentials(reference, connection), connection) {
  if (endpoint_.greeting.status != 401) return;
  in_context([&] { authorizer_.prepare(endpoint_.greeting, scope_); });
}

Url RegistryClient::url_of(const std::string& path) const {
  return endpoint_.base.resolve(fmt::format("/v2/{}/{}", repository_, path));
}

/// Sends with what the registry is known to want, and again when it turns out to want something else. Other
/// threads may use up a token between our getting and showing it, so one answer may not be enough.
Answer RegistryClient::try_exchange(HttpRequest request, const std::string& scope) const {
  const bool is_ours = request.url.same_origin(endpoint_.base);
  if (is_ours) request.authorization = authorizer_.current(scope);
  for (int refusals = 0;; ++refusals) {
    Answer answer = http_.try_follow(request);
    const auto* response = std::get_if<HttpResponse>(&answer);
    const bool is_refused = response != nullptr && response->status == 401 && is_ours &&
                            response->url.same_origin(endpoint_.base);
    if (!is_refused || refusals == kMaxRefusals) return answer;
    request.authorization = authorizer_.answer(*response, scope, request.authorization, request.stop);
  }
}

/// For requests that may be repeated as a whole.
HttpResponse RegistryClient::exchange(const HttpRequest& request) const {
  Retries retries(patience_, request.stop);
  for (;;) {
    Answer answer = try_exchange(request);
    if (!retries.again(answer)) return require_response(std::move(answer));
  }
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

void RegistryClient::get_blob(const Descriptor& blob, std::uint64_t offset, ByteSink& out,
                              const std::stop_token& stop) const {
  KeepingSink keeping(out);
  BlobRange range(blob, offset, keeping);
  get_range_into(range, keeping, stop);
}

void RegistryClient::get_blob_piece(const Descriptor& blob, std::uint64_t offset, std::uint64_t size,
                                    ByteSink& out, const std::stop_token& stop) const {
  KeepingSink keeping(out);
  BlobRange range(blob, offset, size, keeping);
  get_range_into(range, keeping, stop);
  if (!range.is_complete())
    throw Error::make(Errc::unavailable, "blob {}: the part ends at {}, expected {}", blob.digest.to_string(),
                      range.position(), offset + size);
}

std::optional<std::vector<std::string>> RegistryClient::get_blob_pieces(
    const Descriptor& blob, std::span<const layerstore::BlobPart> parts, const std::stop_token& stop) const {
  std::uint64_t limit = 0;
  for (const layerstore::BlobPart& part : parts) limit += part.size + kMaxPartHeading;
  HttpRequest request{.url = url_of("blobs/" + blob.digest.to_string()),
                      .headers = {"Range: " + range_header(parts)},
                      .on_body =
                          [](const HttpResponse& answer) {
                            if (answer.status != 206)
                              throw Error(Errc::unsupported, "serves no parts of blobs");
                          },
                      .limit = limit,
                      .stop = stop};
  try {
    const HttpResponse response = in_context([&] {
      HttpResponse answer = exchange(request);
      if (answer.ok()) return answer;
      Error error = part_error(answer, "blob " + blob.digest.to_string());
      if (error.code() == Errc::limited) throw error;
      return answer;
    });
    const auto found = response.status == 206 ? parse_multipart(response.headers.get("content-type"),
                                                                response.body, parts, blob.size)
                                              : std::nullopt;
    if (!found) return std::nullopt;
    return std::vector<std::string>(found->begin(), found->end());
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported && error.code() != Errc::corrupt) throw;
    return std::nullopt;
  }
}

void RegistryClient::get_range_into(BlobRange& range, const KeepingSink& out,
                                    const std::stop_token& stop) const {
  try {
    in_context([&] { get_range(range, stop); });
  } catch (const Error&) {
    out.rethrow_failure();
    throw;
  }
}

/// Asks for what is still missing until it is there. A server that sends something else than was asked for is
/// asked for the whole.
void RegistryClient::get_range(BlobRange& range, const std::stop_token& stop) const {
  const Url url = url_of("blobs/" + range.blob().digest.to_string());
  Retries retries(patience_, stop);
  do {
    const std::uint64_t before = range.position();
    Answer answer;
    try {
      answer = try_exchange(range.plan(url, stop));
    } catch (const Error&) {
      if (range.ask_for_whole(nullptr)) continue;
      throw;
    }
    if (range.position() > before) retries.progress();
    const auto* response = std::get_if<HttpResponse>(&answer);
    if (response != nullptr && response->ok()) {
      if (range.is_partial() && range.position() > before) continue;
      return;
    }
    if (range.ask_for_whole(response) || retries.again(answer)) continue;
    const HttpResponse refusal = require_response(std::move(answer));
    const std::string what = "blob " + range.blob().digest.to_string();
    throw range.is_piece() ? part_error(refusal, what) : api_error(refusal, what);
  } while (!range.is_complete());
}

std::string RegistryClient::read_blob(const Descriptor& blob) const {
  const std::string what = "blob " + blob.digest.to_string();
  if (blob.size > kMaxJsonBytes)
    throw Error::make(Errc::invalid, "{}: {} bytes, expected at most {}", what, blob.size, kMaxJsonBytes);
  StringSink sink;
  get_blob(blob, 0, sink, {});
  return in_context([&] {
    if (sink.text().size() != blob.size)
      throw Error::make(Errc::corrupt, "{}: got {} bytes, expected {}", what, sink.text().size(), blob.size);
    const Digest got = layerstore::digest_of(sink.text(), blob.digest.algorithm());
    if (got != blob.digest)
      throw Error::make(Errc::corrupt, "{}: got {}, expected {}", what, got.to_string(),
                        blob.digest.to_string());
    return sink.text();
  });
}

std::optional<HttpResponse> RegistryClient::head_manifest(const std::string& selector) const {
  HttpResponse response =
      exchange({.method = "HEAD", .url = url_of("manifests/" + selector), .headers = {accept_header()}});
  if (response.ok()) return response;
  if (response.status == 404) return std::nullopt;
  throw api_error(response, fmt::format("manifest of {}:{}", repository_, selector));
}

std::optional<Digest> RegistryClient::find_manifest(const std::string& selector) const {
  return in_context([&]() -> std::optional<Digest> {
    const std::optional<HttpResponse> response = head_manifest(selector);
    return response ? named_digest(*response) : std::nullopt;
  });
}

bool RegistryClient::keeps_manifest(const std::string& selector, const Digest& digest) const {
  return in_context([&] {
    const std::optional<HttpResponse> response = head_manifest(selector);
    return response && named_digest(*response) == digest && response->headers.get(kNotPushedHeader).empty();
  });
}

Url RegistryClient::upload_location(const HttpResponse& response) const {
  const std::string location = response.headers.get("location");
  if (location.empty()) throw Error(Errc::unavailable, "accepts an upload, but does not say where it goes");
  const Url url = with_context("upload address", [&] { return response.url.resolve(location); });
  check_not_downgraded(endpoint_.base, url);
  return url;
}

UploadStart RegistryClient::upload_start(const HttpResponse& response) const {
  return {.url = upload_location(response),
          .min_chunk = parse_number(response.headers.get("oci-chunk-min-length")).value_or(0)};
}

UploadStart RegistryClient::begin_upload(const Digest& digest, const std::stop_token& stop) const {
  return in_context([&] {
    const HttpResponse response = exchange(
        {.method = "POST", .url = url_of("blobs/uploads/"), .body = text_body("", ""), .stop = stop});
    if (!response.ok()) throw api_error(response, "begin the upload of blob " + digest.to_string());
    return upload_start(response);
  });
}

std::optional<UploadStart> RegistryClient::mount_blob(const Digest& digest, const std::string& from,
                                                      const std::stop_token& stop) const {
  return in_context([&]() -> std::optional<UploadStart> {
    const Url url = url_of("blobs/uploads/").with_query("mount", digest.to_string()).with_query("from", from);
    const HttpRequest request{.method = "POST", .url = url, .body = text_body("", ""), .stop = stop};
    // A token has to say that we may read there as well.
    Answer answer = try_exchange(request, fmt::format("{} repository:{}:pull", scope_, from));
    const HttpResponse response = require_response(std::move(answer));
    if (response.status == 201) return std::nullopt;
    if (response.status == 202) return upload_start(response);
    throw api_error(response, "mount blob " + digest.to_string());
  });
}

Answer RegistryClient::send_piece(const UploadPiece& piece,
                                  const std::function<std::unique_ptr<ByteSource>()>& open,
                                  const std::stop_token& stop) const {
  return in_context([&] {
    HttpRequest request{.method = piece.is_last ? "PUT" : "PATCH",
                        .url = piece.url,
                        .body = RequestBody{open, piece.size, "application/octet-stream"},
                        .stop = stop};
    if (piece.is_last) request.url = piece.url.with_query("digest", piece.digest.to_string());
    const bool is_whole = piece.is_last && piece.offset == 0;
    if (!is_whole && piece.size > 0)
      request.headers.push_back(
          fmt::format("Content-Range: {}-{}", piece.offset, piece.offset + piece.size - 1));
    if (!request.url.same_origin(endpoint_.base))
      request.nearest = std::max(endpoint_.greeting.peer, AddressClass::internal);
    return try_exchange(std::move(request));
  });
}

std::optional<UploadStatus> RegistryClient::upload_status(const std::string& location,
                                                          const std::stop_token& stop) const {
  return in_context([&]() -> std::optional<UploadStatus> {
    const Url url = Url::parse(location);
    if (!url.same_origin(endpoint_.base)) return std::nullopt;  // nobody there speaks this protocol
    // A registry that does not answer now may hold all of it all the same.
    const HttpResponse response = exchange({.url = url, .stop = stop});
    if (response.status == 429 || response.status >= 500) throw api_error(response, "state of an upload");
    const auto held = response.ok() ? parse_upload_range(response.headers.get("range")) : std::nullopt;
    if (!held) return std::nullopt;
    const bool is_moved = !response.headers.get("location").empty();
    return UploadStatus{.url = is_moved ? upload_location(response) : url, .offset = *held};
  });
}

void RegistryClient::cancel_upload(const UploadStart& upload, const std::stop_token& stop) const {
  if (!upload.url.same_origin(endpoint_.base)) return;
  try {
    try_exchange({.method = "DELETE", .url = upload.url, .stop = stop});
  } catch (const Error& error) {  // the registry ends it when nobody comes
    if (error.code() == Errc::cancelled) throw;
  }
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

/// The address in a Link header of rel="next" (RFC 8288), if it stays with the registry.
std::optional<Url> RegistryClient::next_page(const HttpResponse& response) const {
  const auto link = find_link(join(response.headers.all("link"), ", "), "next");
  if (!link) return std::nullopt;
  const Url url = with_context("next page", [&] { return response.url.resolve(*link); });
  if (!url.same_origin(endpoint_.base))
    throw Error::make(Errc::invalid, "the next page is at '{}', elsewhere; refused", url.authority());
  return url;
}

std::vector<std::string> RegistryClient::list_tags() const {
  return in_context([&] {
    std::vector<std::string> tags;
    std::set<std::string> seen;
    std::size_t taken = 0;
    std::optional<Url> page = url_of("tags/list");
    while (page) {
      if (seen.size() == kMaxPages) throw Error::make(Errc::invalid, "more than {} pages of tags", kMaxPages);
      if (!seen.insert(page->text()).second)
        throw Error::make(Errc::invalid, "the pages of the tags of {} lead in a circle", repository_);
      const HttpResponse response = exchange({.url = *page});
      if (!response.ok()) throw api_error(response, "tags of " + repository_);
      const std::size_t before = tags.size();
      add_tags(tags, response.body);
      taken += page->text().size() + response.body.size() + (tags.size() - before) * sizeof(std::string);
      if (taken > kMaxTagBytes)
        throw Error::make(Errc::invalid, "the tags of {} take more than {} bytes", repository_, kMaxTagBytes);
      page = next_page(response);
    }
    return tags;
  });
}

/// One whose answer was lost may have deleted it: then the next try finds nothing.
void RegistryClient::delete_manifest(const Digest& digest) const {
  in_context([&] {
    const HttpRequest request{.method = "DELETE", .url = url_of("manifests/" + digest.to_string())};
    Retries retries(patience_, request.stop);
    Answer answer = try_exchange(request);
    bool may_be_deleted = false;
    for (; retries.again(answer); answer = try_exchange(request)) may_be_deleted |= may_be_done(answer);
    const HttpResponse response = require_response(std::move(answer));
    if (response.status == 404 && may_be_deleted) return;
    if (response.status == 405)
      throw Error(Errc::unsupported, "does not delete").with_hint("its operator has to allow that");
    if (!response.ok()) throw api_error(response, fmt::format("{}@{}", repository_, digest.to_string()));
  });
}

}  // namespace lay::registry
