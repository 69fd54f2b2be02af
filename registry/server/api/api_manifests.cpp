#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "http/lay_headers.h"
#include "layerstore/image_config.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "server/api/api.h"

namespace lay::registry::server {

using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::DocumentKind;

/// What the document of a manifest is and refers to.
struct ParsedManifest {
  ManifestRecord record;
  DocumentKind kind = DocumentKind::manifest;
  std::optional<Descriptor> config;
  std::vector<Descriptor> parts;  ///< layers, or the entries of an index
};

namespace {

/// All that clients may have under way as manifests at once: 500 of 4 MiB would be 2 GB.
constexpr std::uint64_t kManifestMemory = 32 * 1024 * 1024;

bool is_digest(const std::string& reference) {
  return reference.find(':') != std::string::npos;
}

Refusal unknown_manifest(const std::string& repository, const std::string& reference) {
  return Refusal(404, error_code::kManifestUnknown,
                 "there is no '" + reference + "' in repository '" + repository + "'");
}

/// The bytes of one manifest as they arrive, counted against what all of them may take.
class ManifestBody {
 public:
  explicit ManifestBody(std::atomic<std::uint64_t>& memory) : memory_(memory) {}
  ManifestBody(const ManifestBody&) = delete;
  ManifestBody& operator=(const ManifestBody&) = delete;
  ~ManifestBody() { memory_ -= bytes_.size(); }

  void take(std::span<const std::byte> part) {
    if (bytes_.size() + part.size() > kMaxJsonBytes)
      throw Refusal(413, error_code::kManifestInvalid, "a manifest may have 4 MiB");
    if (memory_ + part.size() > kManifestMemory)
      throw Refusal(429, error_code::kTooMany, "too many manifests at once", {{"Retry-After", "1"}});
    memory_ += part.size();
    bytes_.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::atomic<std::uint64_t>& memory_;
  std::string bytes_;
};

void read_referrer(const std::string& bytes, ParsedManifest& parsed) {
  const Json json = parse_json(bytes, "manifest");
  if (const Json* subject = json_find(json, "subject"))
    parsed.record.subject =
        with_context("subject", [&] { return layerstore::parse_descriptor(*subject); }).digest;
  parsed.record.artifact_type = json_string_or(json, "artifactType", "");
  if (parsed.record.artifact_type.empty() && parsed.config)
    parsed.record.artifact_type = parsed.config->media_type;
}

/// Throws Refusal when it is no manifest.
ParsedManifest parse_document(const std::string& bytes, const std::string& content_type,
                              const Digest& digest) {
  ParsedManifest parsed{
      .record =
          ManifestRecord{.descriptor = Descriptor{.media_type = "", .digest = digest, .size = bytes.size()}}};
  try {
    parsed.kind = layerstore::classify_document(bytes, content_type);
    if (parsed.kind == DocumentKind::manifest) {
      layerstore::Manifest manifest = layerstore::parse_manifest(bytes);
      parsed.record.descriptor.media_type = manifest.media_type;
      parsed.record.descriptor.annotations = std::move(manifest.annotations);
      parsed.config = manifest.config;
      parsed.parts = std::move(manifest.layers);
      parsed.record.refers_to.push_back(manifest.config.digest);
    } else {
      layerstore::Index index = layerstore::parse_index(bytes);
      parsed.record.descriptor.media_type = index.media_type;
      parsed.record.descriptor.annotations = std::move(index.annotations);
      parsed.parts = std::move(index.manifests);
    }
    for (const Descriptor& part : parsed.parts) parsed.record.refers_to.push_back(part.digest);
    read_referrer(bytes, parsed);
  } catch (const Error& error) {
    throw Refusal(400, error_code::kManifestInvalid, error.message());
  }
  return parsed;
}

bool is_document(std::string_view media_type) {
  return layerstore::media_type::is_manifest(media_type) || layerstore::media_type::is_index(media_type);
}

void require_size(const Descriptor& part, std::optional<std::uint64_t> size) {
  if (size && *size != part.size)
    throw Refusal(
        400, error_code::kManifestInvalid,
        fmt::format("{} has {} bytes, the manifest says {}", part.digest.to_string(), *size, part.size));
}

bool can_read_config(const layerstore::BlobStore& blobs, const Descriptor& config) {
  if (!layerstore::media_type::is_config(config.media_type)) return true;
  try {
    layerstore::parse_image_config(blobs.read(config.digest));
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Of a large one the file is sent: hundreds of readers at once may each take their time.
Response manifest_response(const layerstore::BlobStore& blobs, const Descriptor& manifest) {
  constexpr std::uint64_t kSmall = 64 * 1024;
  const std::uint64_t size = blobs.size(manifest.digest).value_or(0);
  if (size <= kSmall) return json_response(200, blobs.read(manifest.digest), manifest.media_type);
  Response response{.headers = {{"Content-Type", manifest.media_type}}};
  response.file = blobs.open(manifest.digest);
  response.parts.push_back({.heading = "", .range = {.first = 0, .last = size - 1}});
  return response;
}

}  // namespace

std::optional<Descriptor> Api::resolve(const std::string& repository, const std::string& reference) {
  if (is_digest(reference)) {
    const Digest digest = Digest::parse(reference);
    if (const auto record = registry_.repositories.manifest(repository, digest)) return record->descriptor;
    return registry_.names.manifest(repository, digest);
  }
  if (const auto tag = registry_.repositories.tag(repository, reference))
    return Descriptor{.media_type = tag->media_type, .digest = tag->digest};
  return registry_.names.find(repository, reference);
}

bool Api::is_pushed(const std::string& repository, const std::string& reference) {
  if (is_digest(reference))
    return registry_.repositories.manifest(repository, Digest::parse(reference)).has_value();
  return registry_.repositories.tag(repository, reference).has_value() ||
         registry_.names.pushed(repository, reference).has_value();
}

Response Api::get_manifest(const Request& request) {
  const std::string& reference = request.target.reference;
  const auto manifest = resolve(request.target.repository, reference);
  if (!manifest || !registry_.store.blobs().has(manifest->digest))
    throw unknown_manifest(request.target.repository, reference);
  const std::string etag = etag_of(manifest->digest);
  Response response = manifest_response(registry_.store.blobs(), *manifest);
  if (is_known(request, etag)) response.status = 304;
  response.is_head = request.method == "HEAD";
  response.headers.emplace_back("Docker-Content-Digest", manifest->digest.to_string());
  response.headers.emplace_back("ETag", etag);
  if (!is_pushed(request.target.repository, reference))
    response.headers.emplace_back(kNotPushedHeader, "true");
  return response;
}

Action Api::receive_manifest(const Request& request) {
  if (request.length && *request.length > kMaxJsonBytes)
    throw Refusal(413, error_code::kManifestInvalid, "a manifest may have 4 MiB");
  const auto body = std::make_shared<ManifestBody>(manifest_memory_);
  return {.take = [body](std::span<const std::byte> bytes) { body->take(bytes); },
          .finish = [this, request, body] { return put_manifest(request, body->bytes()); },
          .blocks = true};
}

/// Everything the manifest refers to has to be in the repository, with the size that it says. `changing` is
/// held. What only a local name leads to gets a link of its own, since that name may go.
void Api::require_parts(const std::string& repository, const ParsedManifest& parsed) {
  const auto missing = [&](const Digest& digest) {
    return Refusal(
        404, error_code::kManifestBlobUnknown,
        "the manifest refers to " + digest.to_string() + ", which is not in repository '" + repository + "'");
  };
  std::vector<Descriptor> blobs = parsed.parts;
  if (parsed.kind == DocumentKind::index)
    std::erase_if(blobs, [&](const Descriptor& entry) {
      const auto found = resolve(repository, entry.digest.to_string());
      const auto size = found ? registry_.store.blobs().size(entry.digest) : std::nullopt;
      if (!size && is_document(entry.media_type)) throw missing(entry.digest);
      require_size(entry, size);
      return size.has_value();  // the others are blobs: builders keep their caches so
    });
  std::erase_if(blobs,
                [](const Descriptor& layer) { return layerstore::media_type::is_foreign(layer.media_type); });
  if (parsed.config) blobs.push_back(*parsed.config);
  for (const Descriptor& blob : blobs) {
    const auto size = registry_.store.blobs().size(blob.digest);
    if (!size || !is_visible(repository, blob.digest)) throw missing(blob.digest);
    require_size(blob, size);
    if (!registry_.repositories.has_blob(repository, blob.digest))
      registry_.repositories.link_blob(repository, blob.digest);
  }
}

/// Whether all of an index can be read, whatever it is of: a collection of the store would stop at what
/// cannot. `seen` are those that were looked at: an index may name one many times.
bool Api::is_sound(const std::string& repository, const ManifestRecord& record, int depth,
                   std::set<Digest>& seen) {
  if (!record.has_sound_config || depth > layerstore::kMaxIndexDepth) return false;
  if (!layerstore::media_type::is_index(record.descriptor.media_type)) return true;
  return std::all_of(record.refers_to.begin(), record.refers_to.end(), [&](const Digest& entry) {
    if (!seen.insert(entry).second) return true;
    const auto inner = registry_.repositories.manifest(repository, entry);
    return inner && is_sound(repository, *inner, depth + 1, seen);
  });
}

/// Whether the store may give it a name: an image for this machine of which all can be read.
bool Api::is_nameable(const std::string& repository, const ManifestRecord& record) {
  std::set<Digest> seen;
  if (!is_sound(repository, record, 0, seen)) return false;
  try {
    const layerstore::Image image = registry_.store.load(record.descriptor);
    for (const Descriptor& layer : image.manifest.layers)
      layerstore::media_type::compression_of(layer.media_type);
    const layerstore::Platform here = layerstore::host_platform();
    return (image.config.os.empty() || image.config.os == here.os) &&
           (image.config.architecture.empty() || image.config.architecture == here.architecture);
  } catch (const Error&) {
    return false;
  }
}

/// A runnable image's tag is a name of the store as long as there is room; another's is a record of the
/// registry, which goes before a name. The order leaves the old or the new after a crash.
void Api::set_tag(const std::string& repository, const std::string& tag, const ManifestRecord& record) {
  const Descriptor plain{.media_type = record.descriptor.media_type,
                         .digest = record.descriptor.digest,
                         .size = record.descriptor.size};
  if (const auto old = resolve(repository, tag); old && old->digest != plain.digest)
    registry_.repositories.touch_manifest(repository, old->digest);
  if (is_nameable(repository, record) && registry_.names.put(repository, tag, plain)) {
    registry_.repositories.remove_tag(repository, tag);
  } else {
    registry_.repositories.put_tag(repository, tag, {.digest = plain.digest, .media_type = plain.media_type});
    if (const auto pushed = registry_.names.pushed(repository, tag))
      registry_.names.remove(repository, tag, *pushed);
  }
  registry_.names.show_local(repository, tag);  // the tag goes before it again
}

Response Api::put_manifest(const Request& request, const std::string& bytes) {
  const std::string& repository = request.target.repository;
  const std::string& reference = request.target.reference;
  const bool by_digest = is_digest(reference);
  const auto wanted = by_digest ? std::optional(Digest::parse(reference)) : std::nullopt;
  const Digest digest =
      layerstore::digest_of(bytes, wanted ? wanted->algorithm() : layerstore::DigestAlgorithm::sha256);
  if (wanted && *wanted != digest)
    throw Refusal(400, error_code::kDigestInvalid,
                  "the manifest is " + digest.to_string() + ", expected " + wanted->to_string());
  ParsedManifest parsed = parse_document(bytes, request.content_type, digest);

  const FileLock adding = registry_.store.share();
  {
    const auto lock = registry_.changing.hold(repository);
    require_parts(repository, parsed);  // nothing is stored of what is refused
  }
  layerstore::BlobWriter writer = registry_.store.blobs().begin(digest.algorithm());
  writer.write(std::as_bytes(std::span(bytes)));
  writer.commit();
  const auto lock = registry_.changing.hold(repository);
  require_parts(repository, parsed);  // again: a part may have been deleted while the disk was synced
  ManifestRecord& record = parsed.record;
  if (parsed.config) record.has_sound_config = can_read_config(registry_.store.blobs(), *parsed.config);
  registry_.repositories.put_manifest(repository, record);
  if (!by_digest) set_tag(repository, reference, record);

  Response response{.status = 201,
                    .headers = {{"Location", location_of(repository, "manifests/" + digest.to_string())},
                                {"Docker-Content-Digest", digest.to_string()}}};
  if (record.subject) response.headers.emplace_back("OCI-Subject", record.subject->to_string());
  return response;
}

/// `changing` is held. Throws Refusal when the tag is a local name, which clients may not change.
void Api::delete_tag(const std::string& repository, const std::string& tag, const Descriptor& old) {
  const auto pushed = registry_.names.pushed(repository, tag);
  const auto record = registry_.repositories.tag(repository, tag);
  if (!pushed && !record)
    throw Refusal(403, error_code::kDenied,
                  "the tag is a name that was given on the server: remove it there with 'lay rmi'");
  registry_.repositories.touch_manifest(repository, old.digest);
  // First: else the local name would take the place of what is deleted
  registry_.names.hide_local(repository, tag);
  // A name goes with the record that went before it; what it was moved to meanwhile stays
  if (pushed) registry_.names.remove(repository, tag, record ? *pushed : old.digest);
  registry_.repositories.remove_tag(repository, tag);
}

Response Api::delete_manifest(const Request& request) {
  const std::string& repository = request.target.repository;
  const std::string& reference = request.target.reference;
  const auto lock = registry_.changing.hold(repository);
  if (!is_digest(reference)) {
    const auto old = resolve(repository, reference);
    if (!old) throw unknown_manifest(repository, reference);
    delete_tag(repository, reference, *old);
    registry_.repositories.remove_if_empty(repository);
    return {.status = 202};
  }
  const Digest digest = Digest::parse(reference);
  const auto delete_if_here = [&](const std::string& tag) {
    const auto found = resolve(repository, tag);
    if (found && found->digest == digest) delete_tag(repository, tag, *found);
  };
  for (const std::string& tag : registry_.repositories.tags(repository)) delete_if_here(tag);
  for (const std::string& tag : registry_.names.tags(repository))
    if (registry_.names.pushed(repository, tag)) delete_if_here(tag);
  if (registry_.repositories.remove_manifest(repository, digest)) {
    registry_.repositories.remove_if_empty(repository);
    return {.status = 202};
  }
  if (registry_.names.manifest(repository, digest))
    throw Refusal(403, error_code::kDenied,
                  "the image has a name on the server: remove that there with 'lay rmi'");
  throw unknown_manifest(repository, reference);
}

}  // namespace lay::registry::server
