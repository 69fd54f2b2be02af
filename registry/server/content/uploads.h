#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/early_writeback.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/digest.h"
#include "server/content/write_buffer.h"
#include "server/http/worker_pool.h"

namespace lay::registry::server {

/// One upload session: a file that grows at its end. The session outlives the server: what is needed of it is
/// on disk, only the running hash is made again by reading the file.
class Upload final : public ByteSink {
 public:
  const std::string& id() const { return id_; }
  const std::string& repository() const { return repository_; }
  /// What is in the file: up to the last flush().
  std::uint64_t size() const { return size_; }
  /// Adds at the end. Only by whoever holds the claim.
  void write(std::span<const std::byte> bytes) override;
  /// Brings to the file what write() put together. When that fails the bytes are gone, and size() says where
  /// to go on. The end of a claim does it too.
  void flush();
  /// From here on the file may be a blob of the store: nothing more is written to it.
  void seal() { is_sealed_ = true; }
  /// Of all that was written. Reads it again when it was written by an earlier server or is to be hashed by
  /// another algorithm. Only by whoever holds the claim; nothing may be written afterwards.
  layerstore::Digest digest(layerstore::DigestAlgorithm algorithm);
  const UniqueFd& file() const { return file_; }

 private:
  friend class Uploads;
  friend class UploadClaim;
  Upload(std::string id, std::string repository, UniqueFd file, std::optional<layerstore::Hasher> hasher,
         layerstore::DigestAlgorithm algorithm, std::atomic<unsigned>& buffers, WorkerPool& syncs);
  void append(std::span<const std::byte> bytes);
  /// Waits for none of what it has begun: a disk may take seconds, and others are served on this thread.
  void end_writeback();

  const std::string id_;
  const std::string repository_;
  UniqueFd file_;
  std::atomic<std::uint64_t> size_ = 0;       ///< others ask for it while one request writes
  std::optional<layerstore::Hasher> hasher_;  ///< of what was written so far; none when that is not known
  layerstore::DigestAlgorithm algorithm_;
  std::unique_ptr<EarlyWriteback> writeback_;
  std::atomic<unsigned>& buffers_;  ///< of Uploads
  WorkerPool& syncs_;               ///< as well
  std::unique_ptr<WriteBuffer> buffer_;
  bool is_sealed_ = false;
  bool is_claimed_ = false;  ///< these three under the mutex of Uploads
  bool is_over_ = false;     ///< committed or cancelled
  std::chrono::steady_clock::time_point used_ = std::chrono::steady_clock::now();
};

/// The right to write to an upload: one request has it at a time.
class UploadClaim {
 public:
  UploadClaim(UploadClaim&&) noexcept = default;
  UploadClaim& operator=(UploadClaim&&) = delete;
  ~UploadClaim();
  Upload& operator*() const { return *upload_; }
  Upload* operator->() const { return upload_.get(); }

 private:
  friend class Uploads;
  UploadClaim(std::shared_ptr<Upload> upload, std::mutex& mutex)
      : upload_(std::move(upload)), mutex_(&mutex) {}
  std::shared_ptr<Upload> upload_;
  std::mutex* mutex_;
};

/// ROOT/registry/uploads: the sessions, one folder each, named by 128 random bits.
class Uploads {
 public:
  /// `limit` is how many may be open at once; when they are, one that holds nothing and was not used for
  /// `idle` gives way to another.
  Uploads(const UniqueFd& root, std::size_t limit, std::chrono::seconds idle = std::chrono::seconds(60));

  /// Throws Refusal 429 when too many are open.
  UploadClaim begin(const std::string& repository, layerstore::DigestAlgorithm algorithm);
  /// Throws Refusal: 404 when there is none of that id in that repository, 409 when another request writes.
  UploadClaim claim(const std::string& id, const std::string& repository);
  /// How many bytes there are; throws Refusal 404.
  std::uint64_t size_of(const std::string& id, const std::string& repository);
  /// Ends the session; its file goes.
  void end(UploadClaim& claim);
  bool has_ended(const UploadClaim& claim) const;
  /// Removes sessions that nobody has written to for `age`; returns how many.
  unsigned sweep(std::chrono::seconds age);
  std::size_t count() const;

 private:
  std::shared_ptr<Upload> find(const std::string& id, const std::string& repository);
  std::shared_ptr<Upload> load(const std::string& id);
  bool drop_idle();
  bool drop_forgotten();
  void remove(const std::string& id);

  UniqueFd folder_;
  const std::size_t limit_;
  const std::chrono::seconds idle_;
  std::atomic<unsigned> buffers_ = WriteBuffer::kCount;  ///< that no upload has
  WorkerPool syncs_{1};  ///< waits for syncs of uploads that nobody writes to any more
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Upload>> known_;  ///< by id; those on disk are read when asked for
  std::size_t count_ = 0;                                 ///< on disk
};

}  // namespace lay::registry::server
