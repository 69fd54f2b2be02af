#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>

#include "client/blob_reader.h"
#include "client/client.h"
#include "http/retry.h"
#include "transfer/transfer_notes.h"

namespace lay::registry {

/// How many bytes of a blob one request to a registry sends. The uploads to it share this, from any thread.
class ChunkSize {
 public:
  explicit ChunkSize(std::uint64_t bytes) : bytes_(bytes) {}
  std::uint64_t bytes() const { return bytes_; }
  /// The registry has turned out to take blobs as a whole alone.
  void make_whole() { bytes_ = kWhole; }
  bool is_whole() const { return bytes_ == kWhole; }

 private:
  static constexpr std::uint64_t kWhole = std::numeric_limits<std::uint64_t>::max();
  std::atomic<std::uint64_t> bytes_;
};

/// Sends one blob to one repository (distribution-spec "Pushing blobs"). A small one goes in a single PUT, a
/// large one in chunks, so that what the registry has confirmed need not be sent again: after a failure, in
/// this process or a later one, the registry is asked how far it is. One that takes no chunks, or does not
/// get on with them, is sent the whole. For one thread.
class BlobUpload {
 public:
  BlobUpload(const RegistryClient& client, const TransferNotes& notes, const layerstore::Descriptor& blob,
             ChunkSize& chunk, std::stop_token stop);

  /// Goes on in `begun` (where a refused mount has begun an upload), else where the last process was, else
  /// anew. Throws unavailable when it cannot be finished; what was reached is noted then.
  void send(BlobReader& reader, std::optional<UploadStart> begun);

 private:
  void begin(std::optional<UploadStart> begun);
  bool take_up();
  std::optional<UploadStatus> ask_status(const std::string& location) const;
  std::uint64_t next_size() const;
  Answer send_chunk(BlobReader& reader, std::uint64_t size);
  bool is_further();
  void leave_standstill();
  bool recover(bool is_lost);
  void go_on(const UploadStatus& found);
  void begin_anew();
  bool refuses_chunks(const Answer& answer, std::uint64_t sent) const;
  Error failure_of(Answer answer) const;
  bool is_worth_noting() const;
  void note() const;

  const RegistryClient& client_;
  const TransferNotes& notes_;
  const layerstore::Descriptor& blob_;
  const std::stop_token stop_;
  ChunkSize& chunk_;
  const std::string what_;  ///< for messages
  UploadStart session_;
  std::uint64_t offset_ = 0;    ///< what the registry has
  std::uint64_t furthest_ = 0;  ///< the most it has had
  unsigned losses_ = 0;         ///< how often it has lost the upload
  bool is_begun_ = false;       ///< it has taken something in this upload, now or for an earlier process
};

/// What came of asking for a blob of another repository.
struct Mounted {
  bool is_done = false;
  std::optional<UploadStart> begun{};  ///< instead
};
/// A mount is a wish: a registry that knows nothing of it, or forbids it, is sent the blob. Where the
/// registry says that `from` does not have it, `notes` forget that.
Mounted try_mount(const RegistryClient& client, const TransferNotes& notes, const layerstore::Digest& blob,
                  const std::string& from, const std::stop_token& stop);

/// Whether the registry has `blob`, which could not be mounted. An upload that was `begun` instead is ended
/// then; of a small blob it is used without asking.
bool is_there_already(const RegistryClient& client, const layerstore::Descriptor& blob,
                      const std::optional<UploadStart>& begun, const std::stop_token& stop);

/// "0-99" is 100 bytes (distribution-spec "Pushing a blob in chunks"; the unit "bytes=" is let pass). "0-0"
/// is what registries say of an empty upload, and so counts as none. Empty when it is not of that form.
std::optional<std::uint64_t> parse_upload_range(const std::string& value);

}  // namespace lay::registry
