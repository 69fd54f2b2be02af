#include <fmt/format.h>

#include "base/error.h"
#include "base/syscalls.h"
#include "server/api/api.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;

constexpr const char* kBytes = "application/octet-stream";

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.first, range.last, size);
}

/// RFC 9110 section 14.6, multipart/byteranges.
void add_parts(Response& response, const std::vector<ByteRange>& ranges, std::uint64_t size) {
  const std::string boundary = sys::random_hex(16);
  for (const ByteRange& range : ranges)
    response.parts.push_back(
        {.heading =
             fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                         response.parts.empty() ? "" : "\r\n", boundary, kBytes, content_range(range, size)),
         .range = range});
  response.trailer = fmt::format("\r\n--{}--\r\n", boundary);
  response.headers.emplace_back("Content-Type", "multipart/byteranges; boundary=" + boundary);
}

void select_parts(Response& response, const Request& request, const std::string& etag, std::uint64_t size) {
  const bool is_same = request.if_range.empty() || request.if_range == etag;
  const bool has_range = request.method != "HEAD" && !request.range.empty();  // RFC 9110 section 14.2
  const auto ranges = !has_range || !is_same ? std::nullopt : parse_range(request.range, size);
  if (ranges && ranges->empty())
    throw Refusal(416, error_code::kSizeInvalid, fmt::format("the blob has {} bytes", size),
                  {{"Content-Range", fmt::format("bytes */{}", size)}});
  if (ranges) response.status = 206;
  if (ranges && ranges->size() > 1) return add_parts(response, *ranges, size);
  response.headers.emplace_back("Content-Type", kBytes);
  if (ranges) {
    response.headers.emplace_back("Content-Range", content_range(ranges->front(), size));
    response.parts.push_back({.heading = "", .range = ranges->front()});
  } else if (size > 0) {
    response.parts.push_back({.heading = "", .range = {.first = 0, .last = size - 1}});
  }
}

Refusal no_such_blob(const Request& request) {
  return Refusal(
      404, error_code::kBlobUnknown,
      "blob " + request.target.reference + " is not in repository '" + request.target.repository + "'");
}

}  // namespace

/// A blob is seen in a repository only where it was pushed or mounted, or where a manifest of the repository
/// refers to it; what else the store holds is nobody's business.
bool Api::is_visible(const std::string& repository, const Digest& digest) {
  return registry_.repositories.has_blob(repository, digest) ||
         registry_.names.reaches_blob(repository, digest);
}

/// What a client has pushed or mounted here is its own; of a local image the store answers for what is handed
/// on.
std::vector<BlobPair> Api::unseen_pairs(const std::string& repository, const Digest& digest) {
  if (registry_.repositories.has_blob(repository, digest)) return {};
  std::vector<BlobPair> pairs = registry_.names.layers_of(repository, digest);
  std::erase_if(pairs, [&](const BlobPair& pair) { return left_.is_seen(pair); });
  return pairs;
}

/// A pull may have left the blob of a local image in its registry, or another image may have brought it.
Action Api::read_blob(const Request& request) {
  const Digest digest = Digest::parse(request.target.reference);
  const std::string& repository = request.target.repository;
  const bool is_left = left_.is_left(digest);
  // A client that is about to push asks first: to find out that nobody has the blob, nothing is read
  if (!is_left && !registry_.store.blobs().has(digest)) throw no_such_blob(request);
  const Askers askers = askers_of(request.via);
  using Errand = Action::Errand;
  Errand errand = unseen_pairs(repository, digest).empty() ? Errand::none : Errand::check;
  if (is_left && is_visible(repository, digest)) {
    if (!left_.may_bring_for(askers)) throw no_such_blob(request);
    errand = Errand::fetch;
  }
  return {.take = {},
          .finish =
              [this, request, digest, errand, askers] {
                if (errand == Errand::fetch) bring_blob(request, digest, askers);
                if (errand != Errand::none) check_blob(request, digest);
                return get_blob(request);
              },
          .errand = errand,
          .flight = digest.to_string(),
          .hops = askers.size()};
}

/// Who asks whether it is there is told no when it cannot be had, and may send it.
void Api::bring_blob(const Request& request, const Digest& digest, const Askers& askers) {
  try {
    left_.bring(digest, askers);
  } catch (const Refusal&) {
    if (request.method != "HEAD") throw;
  }
}

void Api::check_blob(const Request& request, const Digest& digest) {
  if (!registry_.store.blobs().has(digest)) return;
  for (const BlobPair& pair : unseen_pairs(request.target.repository, digest)) left_.check(pair);
}

Response Api::get_blob(const Request& request) {
  const Digest digest = Digest::parse(request.target.reference);
  const std::string& repository = request.target.repository;
  const auto size = is_visible(repository, digest) ? registry_.store.blobs().size(digest) : std::nullopt;
  if (!size) throw no_such_blob(request);
  const std::string etag = etag_of(digest);
  Response response{.headers = {{"Docker-Content-Digest", digest.to_string()},
                                {"ETag", etag},
                                {"Accept-Ranges", "bytes"},
                                {"Cache-Control", "max-age=31536000"}}};
  if (is_known(request, etag)) {
    response.status = 304;
    if (*size > 0) response.parts.push_back({.heading = "", .range = {.first = 0, .last = *size - 1}});
  } else {
    // Whoever asks whether it is there is about to rely on it
    if (request.method == "HEAD") registry_.repositories.touch_blob(repository, digest);
    select_parts(response, request, etag, *size);
  }
  response.is_head = request.method == "HEAD";
  if (*size > 0) response.file = registry_.store.blobs().open(digest);
  return response;
}

Response Api::delete_blob(const Request& request) {
  const Digest digest = Digest::parse(request.target.reference);
  const std::string& repository = request.target.repository;
  const auto lock = registry_.changing.hold(repository);
  if (registry_.names.reaches_blob(repository, digest))
    throw Refusal(403, error_code::kDenied, "a tagged image needs this blob: delete its tags first");
  if (!registry_.repositories.unlink_blob(repository, digest)) {
    throw Refusal(404, error_code::kBlobUnknown,
                  "blob " + digest.to_string() + " is not in repository '" + repository + "'");
  }
  registry_.repositories.remove_if_empty(repository);
  return {.status = 202};
}

}  // namespace lay::registry::server
