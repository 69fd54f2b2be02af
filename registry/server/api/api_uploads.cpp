#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "server/api/api.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;
using layerstore::DigestAlgorithm;

std::string upload_location(const std::string& repository, const std::string& id) {
  return location_of(repository, "blobs/uploads/" + id);
}

/// Where the session is, and how far: "0-N" counts the last byte, so an empty one is "0-0".
HeaderList session_headers(const std::string& repository, const std::string& id, std::uint64_t size) {
  return {{"Location", upload_location(repository, id)},
          {"Range", fmt::format("0-{}", size == 0 ? 0 : size - 1)},
          {"Docker-Upload-UUID", id}};
}

Response accepted(const Upload& upload) {
  return {.status = 202, .headers = session_headers(upload.repository(), upload.id(), upload.size())};
}

Response created(const std::string& repository, const Digest& digest) {
  return {.status = 201,
          .headers = {{"Location", location_of(repository, "blobs/" + digest.to_string())},
                      {"Docker-Content-Digest", digest.to_string()}}};
}

/// The digest parameter of a request; throws Refusal when it is missing or none.
Digest require_digest(const Request& request) {
  const std::string text = request.target.parameter("digest");
  const auto digest = Digest::try_parse(text);
  if (!digest)
    throw Refusal(400, error_code::kDigestInvalid,
                  text.empty() ? "the parameter 'digest' is missing" : "the parameter 'digest' is no digest");
  return *digest;
}

/// What the request holds while it writes: shared, since a std::function is copied.
using SharedClaim = std::shared_ptr<UploadClaim>;

/// Does `work` for an upload. A full disk ends the upload: what half of a blob takes is what others lack.
template <class Work>
auto on_disk(Uploads& uploads, UploadClaim& claim, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() == Errc::no_space) uploads.end(claim);
    throw;
  }
}

std::function<void(std::span<const std::byte>)> writer_of(Uploads& uploads, const SharedClaim& claim) {
  return [&uploads, claim](std::span<const std::byte> bytes) {
    on_disk(uploads, *claim, [&] { (*claim)->write(bytes); });
  };
}

Refusal wrong_chunk(const Upload& upload, const std::string& reason) {
  return Refusal(416, error_code::kUploadInvalid, reason,
                 session_headers(upload.repository(), upload.id(), upload.size()));
}

/// The Content-Range of a chunk (distribution-spec "Pushing a blob in chunks"): it has to begin where the
/// last one ended, and to have as many bytes as the body. Empty when there is none.
std::optional<ByteRange> require_next(const Request& request, const Upload& upload) {
  if (request.content_range.empty()) return std::nullopt;
  const auto range = parse_chunk_range(request.content_range);
  if (!range) throw Refusal(400, error_code::kUploadInvalid, "Content-Range is none: expected FIRST-LAST");
  if (range->first != upload.size())
    throw wrong_chunk(upload,
                      fmt::format("the chunk begins at {}, expected {}", range->first, upload.size()));
  if (request.length && *request.length != range->size())
    throw wrong_chunk(
        upload, fmt::format("Content-Range means {} bytes, the body has {}", range->size(), *request.length));
  return range;
}

/// The body of a request that adds to an upload. One without Content-Length is held to its Content-Range as
/// it arrives; what came of it stays, and the client is told how far that is.
class Chunk {
 public:
  Chunk(Uploads& uploads, UploadClaim claim, const Request& request)
      : uploads_(uploads), claim_(std::move(claim)), range_(require_next(request, *claim_)) {}

  void write(std::span<const std::byte> bytes) {
    taken_ += bytes.size();
    if (range_ && taken_ > range_->size()) throw wrong_size("more");
    on_disk(uploads_, claim_, [&] { claim_->write(bytes); });
  }
  /// What a finished chunk leaves in the file is all of it.
  UploadClaim& finish() {
    on_disk(uploads_, claim_, [&] { claim_->flush(); });
    if (range_ && taken_ < range_->size()) throw wrong_size("fewer");
    return claim_;
  }

 private:
  Refusal wrong_size(const std::string& how) {
    on_disk(uploads_, claim_, [&] { claim_->flush(); });
    return wrong_chunk(
        *claim_, fmt::format("the body has {} bytes than the {} of its Content-Range", how, range_->size()));
  }

  Uploads& uploads_;
  UploadClaim claim_;
  const std::optional<ByteRange> range_;
  std::uint64_t taken_ = 0;
};

/// Ends an upload whose address the client never gets when its one request fails.
SharedClaim claim_of_one_request(Uploads& uploads, UploadClaim begun) {
  return {new UploadClaim(std::move(begun)), [&uploads](UploadClaim* raw) {
            const std::unique_ptr<UploadClaim> claim(raw);
            try {
              if (!uploads.has_ended(*claim)) uploads.end(*claim);
            } catch (const Error&) {
              // Swept with the abandoned ones
            }
          }};
}

DigestAlgorithm algorithm_for(const Request& request) {
  if (const auto digest = Digest::try_parse(request.target.parameter("digest"))) return digest->algorithm();
  return request.target.parameter("digest-algorithm") == "sha512" ? DigestAlgorithm::sha512
                                                                  : DigestAlgorithm::sha256;
}

}  // namespace

/// distribution-spec "Post then Put", "Single POST", "Mounting a blob from another repository".
Action Api::begin_upload(const Request& request) {
  if (!request.target.parameter("mount").empty())
    return {.take = {},
            .finish =
                [this, request] {
                  if (auto mounted = try_mount(request)) return std::move(*mounted);
                  const UploadClaim claim =
                      registry_.uploads.begin(request.target.repository, DigestAlgorithm::sha256);
                  return accepted(*claim);
                },
            .blocks = true};
  if (!request.target.parameter("digest").empty()) {
    const Digest digest = require_digest(request);
    // Without a body the client means to send it later: an older client's habit.
    if (request.length != 0) return receive_whole(request, digest);
  }
  return {.take = {}, .finish = [this, request] {
            const UploadClaim claim =
                registry_.uploads.begin(request.target.repository, algorithm_for(request));
            return accepted(*claim);
          }};
}

bool Api::can_mount_from(const Request& request, const std::string& repository, const Digest& digest) {
  return repository != request.target.repository && may(request, repository, Right::read) &&
         is_visible(repository, digest);
}

/// Without "from" some repository that this user may read will do: one of so many that the search takes a few
/// milliseconds, and only by its links, since to follow the names means to read their manifests.
bool Api::is_linked_somewhere(const Request& request, const Digest& digest) {
  constexpr std::size_t kSearched = 1000;
  const std::vector<std::string> some = registry_.repositories.list_some(kSearched);
  return std::any_of(some.begin(), some.end(), [&](const std::string& name) {
    return may(request, name, Right::read) && registry_.repositories.has_blob(name, digest);
  });
}

/// Empty: the client has to send it, as from a repository that is none.
std::optional<Response> Api::try_mount(const Request& request) {
  const auto digest = Digest::try_parse(request.target.parameter("mount"));
  if (!digest) throw Refusal(400, error_code::kDigestInvalid, "the parameter 'mount' is no digest");
  const std::string from = request.target.parameter("from");
  if (!from.empty() && !is_repository_name(from)) return std::nullopt;
  const FileLock adding = registry_.store.share();  // the blob stays as long as this is held
  if (!registry_.store.blobs().has(*digest)) return std::nullopt;
  const bool found =
      is_visible(request.target.repository, *digest) ||
      (from.empty() ? is_linked_somewhere(request, *digest) : can_mount_from(request, from, *digest));
  if (!found) return std::nullopt;
  // The link made here must not be forgotten with an older one
  const auto lock = registry_.changing.hold(request.target.repository);
  registry_.repositories.link_blob(request.target.repository, *digest);
  return created(request.target.repository, *digest);
}

Action Api::receive_whole(const Request& request, const Digest& digest) {
  const SharedClaim claim = claim_of_one_request(
      registry_.uploads, registry_.uploads.begin(request.target.repository, digest.algorithm()));
  return {.take = writer_of(registry_.uploads, claim),
          .finish = [this, claim, digest] { return commit(*claim, digest); },
          .blocks = true};
}

Action Api::append(const Request& request) {
  const auto chunk = std::make_shared<Chunk>(
      registry_.uploads, registry_.uploads.claim(request.target.reference, request.target.repository),
      request);
  return {.take = [chunk](std::span<const std::byte> bytes) { chunk->write(bytes); },
          .finish = [chunk] { return accepted(*chunk->finish()); }};
}

Action Api::complete_upload(const Request& request) {
  const Digest digest = require_digest(request);
  const auto chunk = std::make_shared<Chunk>(
      registry_.uploads, registry_.uploads.claim(request.target.reference, request.target.repository),
      request);
  return {.take = [chunk](std::span<const std::byte> bytes) { chunk->write(bytes); },
          .finish = [this, chunk, digest] { return commit(chunk->finish(), digest); },
          .blocks = true};
}

/// The blob, then the repository's link to it, then the session goes: whatever is interrupted can be asked
/// for again.
Response Api::commit(UploadClaim& claim, const Digest& digest) {
  const std::string repository = claim->repository();
  const Digest got = on_disk(registry_.uploads, claim, [&] { return claim->digest(digest.algorithm()); });
  if (got != digest) {
    registry_.uploads.end(claim);
    throw Refusal(400, error_code::kDigestInvalid,
                  "the upload is " + got.to_string() + ", expected " + digest.to_string());
  }
  {
    const FileLock adding = registry_.store.share();
    claim->seal();
    registry_.store.blobs().adopt(claim->file(), digest);
    const auto lock = registry_.changing.hold(repository);
    registry_.repositories.link_blob(repository, digest);
  }
  registry_.uploads.end(claim);
  return created(repository, digest);
}

Response Api::upload_status(const Request& request) {
  const std::string& id = request.target.reference;
  const std::uint64_t size = registry_.uploads.size_of(id, request.target.repository);
  return {.status = 204, .headers = session_headers(request.target.repository, id, size)};
}

Response Api::cancel_upload(const Request& request) {
  UploadClaim claim = registry_.uploads.claim(request.target.reference, request.target.repository);
  registry_.uploads.end(claim);
  return {.status = 204};
}

}  // namespace lay::registry::server
