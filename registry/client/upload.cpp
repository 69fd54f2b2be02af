#include "client/upload.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "client/api_error.h"

namespace lay::registry {

namespace {

bool is_ok(const Answer& answer) {
  const auto* response = std::get_if<HttpResponse>(&answer);
  return response != nullptr && response->ok();
}

/// As a registry answers that has lost the upload, or is elsewhere in it. Some mean that they take no chunks.
bool says_lost(const Answer& answer) {
  const auto* response = std::get_if<HttpResponse>(&answer);
  return response != nullptr && (response->status == 404 || response->status == 416);
}

}  // namespace

Mounted try_mount(const RegistryClient& client, const TransferNotes& notes, const layerstore::Digest& blob,
                  const std::string& from, const std::stop_token& stop) {
  try {
    auto begun = client.mount_blob(blob, from, stop);
    if (begun) notes.forget_place(from, blob);
    return {.is_done = !begun, .begun = std::move(begun)};
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return {};
  }
}

bool is_there_already(const RegistryClient& client, const layerstore::Descriptor& blob,
                      const std::optional<UploadStart>& begun, const std::stop_token& stop) {
  constexpr std::uint64_t kSentAsSoonAsAsked = 128 * 1024;
  if (begun && blob.size <= kSentAsSoonAsAsked) return false;
  if (!client.has_blob(blob.digest, stop)) return false;
  if (begun) client.cancel_upload(*begun, stop);
  return true;
}

std::optional<std::uint64_t> parse_upload_range(const std::string& value) {
  std::string text = value.starts_with("bytes=") ? value.substr(6) : value;
  if (!text.starts_with("0-")) return std::nullopt;
  const auto last = parse_number(text.substr(2));
  if (!last) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

BlobUpload::BlobUpload(const RegistryClient& client, const TransferNotes& notes,
                       const layerstore::Descriptor& blob, ChunkSize& chunk, std::stop_token stop)
    : client_(client),
      notes_(notes),
      blob_(blob),
      stop_(std::move(stop)),
      chunk_(chunk),
      what_("upload of blob " + blob.digest.to_string()) {}

void BlobUpload::send(BlobReader& reader, std::optional<UploadStart> begun) {
  begin(std::move(begun));
  Retries retries(client_.patience(), stop_);
  for (bool is_sent = false; !is_sent;) {
    const std::uint64_t before = offset_;
    const std::uint64_t size = next_size();
    Answer answer = send_chunk(reader, size);
    if (is_ok(answer)) {
      is_sent = offset_ == blob_.size;
      if (!is_sent && offset_ <= before) leave_standstill();
    } else if (refuses_chunks(answer, size)) {
      chunk_.make_whole();
      begin_anew();
    } else {
      // A registry that has lost the upload, or is elsewhere in it, says so once it is asked.
      const bool is_upload = is_begun_ || furthest_ > 0 || size < blob_.size;
      const bool is_lost = is_upload && says_lost(answer);
      if (is_lost ? losses_++ >= client_.patience().retries : !retries.again(answer))
        throw failure_of(std::move(answer));
      is_sent = recover(is_lost);
    }
    if (is_further()) retries.progress();
  }
  notes_.forget_upload(client_.repository(), blob_.digest);
}

void BlobUpload::begin(std::optional<UploadStart> begun) {
  if (!begun && take_up()) return;
  if (!begun) return begin_anew();
  session_ = *std::move(begun);
  note();
}

/// Whether an earlier process' upload goes on. One that the registry cannot say anything of is left: a new
/// one may well be taken.
bool BlobUpload::take_up() {
  const auto kept = notes_.upload(client_.repository(), blob_.digest);
  if (!kept) return false;
  try {
    const auto found = client_.upload_status(kept->location, stop_);
    if (!found || found->offset > blob_.size) return false;
    go_on(*found);
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return false;
  }
  is_begun_ = true;
  furthest_ = offset_;
  return true;
}

std::optional<UploadStatus> BlobUpload::ask_status(const std::string& location) const {
  return with_context(what_, [&] { return client_.upload_status(location, stop_); });
}

/// The bytes of the next chunk, or of the rest of the blob.
std::uint64_t BlobUpload::next_size() const {
  return std::min(std::max(chunk_.bytes(), session_.min_chunk), blob_.size - offset_);
}

/// Sets how far the registry is when it has taken it.
Answer BlobUpload::send_chunk(BlobReader& reader, std::uint64_t size) {
  const bool is_last = offset_ + size == blob_.size;
  const std::uint64_t from = offset_;
  Answer answer = client_.send_piece(
      {.url = session_.url, .digest = blob_.digest, .offset = from, .size = size, .is_last = is_last},
      [&reader, from, size] { return reader.open(from, size); }, stop_);
  if (!is_ok(answer)) return answer;
  offset_ = from + size;
  is_begun_ = true;
  if (is_last) return answer;
  const auto& response = std::get<HttpResponse>(answer);
  session_.url = client_.upload_location(response);
  // A registry may have taken less than was sent.
  if (const auto held = parse_upload_range(response.headers.get("range"))) offset_ = std::min(offset_, *held);
  note();
  return answer;
}

/// Whether the registry has more than it ever had.
bool BlobUpload::is_further() {
  if (offset_ <= furthest_) return false;
  furthest_ = offset_;
  return true;
}

/// A chunk was taken, and the answer says that the registry is where it was before. Some are further, and say
/// so when they are asked (aws/containers-roadmap#2831). Others would be sent the same without end.
void BlobUpload::leave_standstill() {
  const auto found = ask_status(session_.url.text());
  if (found && found->offset > furthest_ && found->offset <= blob_.size) return go_on(*found);
  if (found || losses_++ > 0) chunk_.make_whole();
  begin_anew();
}

/// After a piece was lost: how far the registry is, or an upload anew. One that `is_lost` and yet said to be
/// where we are would be lost again. True when the blob is there: only the answer to its last piece was lost.
bool BlobUpload::recover(bool is_lost) {
  const auto found = ask_status(session_.url.text());
  if (found && found->offset <= blob_.size && !(is_lost && found->offset == offset_)) {
    go_on(*found);
    return false;
  }
  if (!found && client_.has_blob(blob_.digest, stop_)) return true;
  begin_anew();
  return false;
}

void BlobUpload::go_on(const UploadStatus& found) {
  session_ = {.url = found.url, .min_chunk = session_.min_chunk};
  offset_ = found.offset;
  note();
}

void BlobUpload::begin_anew() {
  offset_ = 0;
  is_begun_ = false;
  session_ = client_.begin_upload(blob_.digest, stop_);
  note();
}

/// Whether the first chunk was refused as something that the registry does not do at all. That it has lost
/// the upload is believed once.
bool BlobUpload::refuses_chunks(const Answer& answer, std::uint64_t sent) const {
  const auto* response = std::get_if<HttpResponse>(&answer);
  const bool is_first_of_several = furthest_ == 0 && sent < blob_.size;
  if (response == nullptr || !is_first_of_several) return false;
  if (says_lost(answer)) return losses_ > 0 || client_.patience().retries == 0;
  constexpr std::array kRefusals{400, 405, 415, 501};
  return std::find(kRefusals.begin(), kRefusals.end(), response->status) != kRefusals.end();
}

Error BlobUpload::failure_of(Answer answer) const {
  if (const auto* response = std::get_if<HttpResponse>(&answer)) {
    Error error = api_error(*response, what_);
    if (response->status == 413 && !chunk_.is_whole())
      error.with_hint(
          "a proxy in front of the registry may limit requests: LAY_UPLOAD_CHUNK=16m sends smaller ones");
    return error;
  }
  const auto& failure = std::get<TransportFailure>(answer);
  Error error = transport_error("'" + failure.place + "'", failure).add_context(what_);
  if (error.hint().empty() && is_worth_noting())
    error.with_hint("what the registry holds of it is not sent again when the same is pushed again");
  return error;
}

bool BlobUpload::is_worth_noting() const {
  constexpr std::uint64_t kSentInAMoment = std::uint64_t{1024} * 1024;
  return blob_.size > kSentInAMoment;
}

void BlobUpload::note() const {
  if (is_worth_noting())
    notes_.keep_upload(client_.repository(), blob_.digest,
                       {.location = session_.url.text(), .offset = offset_});
}

}  // namespace lay::registry
