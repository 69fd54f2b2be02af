#include "client/upload.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "client/api_error.h"

namespace lay::registry {

Mounted try_mount(const RegistryClient& client, const layerstore::Digest& blob, const std::string& from,
                  const std::stop_token& stop) {
  try {
    auto begun = client.mount_blob(blob, from, stop);
    return {.is_done = !begun, .begun = std::move(begun)};
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return {};
  }
}

std::optional<std::uint64_t> parse_upload_range(const std::string& value) {
  std::string text = value.starts_with("bytes=") ? value.substr(6) : value;
  if (!text.starts_with("0-")) return std::nullopt;
  const auto last = parse_number(text.substr(2));
  if (!last) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

static Error refusal_of(const HttpResponse& response, const layerstore::Descriptor& blob) {
  Error error = api_error(response, "upload of blob " + blob.digest.to_string());
  if (response.status == 413)
    error.with_hint(
        "a proxy in front of the registry may limit requests: LAY_UPLOAD_CHUNK=16m sends smaller ones");
  return error;
}

BlobUpload::BlobUpload(const RegistryClient& client, const TransferNotes& notes,
                       const layerstore::Descriptor& blob, std::uint64_t chunk, std::stop_token stop)
    : client_(client), notes_(notes), blob_(blob), stop_(std::move(stop)), chunk_(chunk) {}

void BlobUpload::send(BlobReader& reader, std::optional<UploadStart> begun) {
  begin(std::move(begun));
  Retries retries(client_.patience(), stop_);
  unsigned losses = 0;
  for (bool is_sent = false; !is_sent;) {
    const std::uint64_t before = offset_;
    Answer answer = send_chunk(reader);
    const auto* response = std::get_if<HttpResponse>(&answer);
    if (response != nullptr && response->ok()) {
      is_sent = offset_ == blob_.size;
      if (offset_ > before) retries.progress();
      continue;
    }
    // A registry that has lost the upload, or is elsewhere in it, says so once it is asked.
    const bool is_lost =
        is_begun_ && response != nullptr && (response->status == 404 || response->status == 416);
    if (is_lost ? losses++ == client_.patience().retries : !retries.again(answer))
      throw refusal_of(require_response(std::move(answer)), blob_);
    is_sent = recover(is_lost);
  }
  notes_.forget_upload(client_.repository(), blob_.digest);
}

void BlobUpload::begin(std::optional<UploadStart> begun) {
  offset_ = 0;
  is_begun_ = !begun && take_up();
  if (is_begun_) return;
  session_ = begun ? *std::move(begun) : client_.begin_upload(blob_.digest, stop_);
  note();
}

/// Whether an earlier process' upload goes on.
bool BlobUpload::take_up() {
  const auto kept = notes_.upload(client_.repository(), blob_.digest);
  if (!kept) return false;
  const auto found = client_.upload_status(kept->location, stop_);
  if (!found || found->offset > blob_.size) return false;
  session_ = {.url = found->url, .min_chunk = 0};
  offset_ = found->offset;
  return true;
}

/// The rest of the blob, or the next chunk of it. Sets how far the registry is when it has taken it.
Answer BlobUpload::send_chunk(BlobReader& reader) {
  const std::uint64_t chunk = std::max(chunk_, session_.min_chunk);
  const std::uint64_t size = std::min(chunk, blob_.size - offset_);
  const bool is_last = offset_ + size == blob_.size;
  const std::uint64_t from = offset_;
  Answer answer = client_.send_piece(
      {.url = session_.url, .digest = blob_.digest, .offset = from, .size = size, .is_last = is_last},
      [&reader, from, size] { return reader.open(from, size); }, stop_);
  const auto* response = std::get_if<HttpResponse>(&answer);
  if (response == nullptr || !response->ok()) return answer;
  offset_ = from + size;
  is_begun_ = true;
  if (is_last) return answer;
  session_.url = client_.upload_location(*response);
  // A registry may have taken less than was sent.
  if (const auto held = parse_upload_range(response->headers.get("range")))
    offset_ = std::min(offset_, *held);
  note();
  return answer;
}

/// After a piece was lost: how far the registry is, or an upload anew. One that `is_lost` and yet said to be
/// where we are would be lost again. True when the blob is there: only the answer to its last piece was lost.
bool BlobUpload::recover(bool is_lost) {
  const auto found = client_.upload_status(session_.url.text(), stop_);
  if (found && found->offset <= blob_.size && !(is_lost && found->offset == offset_)) {
    session_.url = found->url;
    offset_ = found->offset;
    note();
    return false;
  }
  if (!found && client_.has_blob(blob_.digest, stop_)) return true;
  offset_ = 0;
  is_begun_ = false;
  session_ = client_.begin_upload(blob_.digest, stop_);
  note();
  return false;
}

void BlobUpload::note() const {
  if (blob_.size > chunk_ / 128)  // what is sent in a moment is not worth a file
    notes_.keep_upload(client_.repository(), blob_.digest,
                       {.location = session_.url.text(), .offset = offset_});
}

}  // namespace lay::registry
