#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/early_writeback.h"
#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/durability.h"
#include "layerstore/ingest.h"
#include "layerstore/trash.h"

namespace lay::layerstore {

/// One blob being written: a file under ingest/ that is hashed as it grows. Without commit() it vanishes.
class BlobWriter final : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override;
  /// Throws corrupt ("got … expected …") when what was written is not `expected` in digest or size.
  /// Nothing may be written afterwards.
  void verify(const Descriptor& expected);
  /// Publishes under the digest of what was written, after verify(); what fails there is not published.
  Digest commit(const Descriptor& expected);
  /// Already there is success. A synced blob takes the place of the one there, and so heals it.
  Digest commit();
  std::uint64_t size() const { return size_; }
  /// How many bytes of the blob an earlier writer left. They have to be written like all others, so that they
  /// are hashed; on disk they stay as they are.
  std::uint64_t kept() const { return kept_; }
  /// What was written stays for a later BlobStore::resume(), unless it is too little to be worth it. Nothing
  /// else may be called afterwards.
  void keep();
  /// What was written so far, from its start.
  UniqueFd open_written() const;
  /// Of what was written; the hash is ended by the first call, and nothing may be written afterwards.
  const Digest& digest();

 private:
  friend class BlobStore;
  BlobWriter(const UniqueFd& blobs, Ingest ingest, DigestAlgorithm algorithm, Durability durability);
  BlobWriter(const UniqueFd& blobs, Ingest ingest, const Descriptor& blob);

  const UniqueFd& blobs_;
  Ingest ingest_;
  UniqueFd file_;
  Hasher hasher_;
  std::optional<Digest> digest_;
  Durability durability_;
  std::uint64_t size_ = 0;
  std::uint64_t kept_ = 0;
  std::unique_ptr<EarlyWriteback> writeback_;  ///< null when the blob is not synced
};

/// blobs/<algorithm>/<hex> of the OCI image layout (image-spec image-layout.md).
class BlobStore {
 public:
  /// `root` is the store's folder and must outlive it.
  explicit BlobStore(const UniqueFd& root);

  bool has(const Digest& digest) const;
  /// The stored size, or empty when absent.
  std::optional<std::uint64_t> size(const Digest& digest) const;
  /// Reads the whole blob: true when it has the size and the digest that it should. Absent is false.
  bool is_whole(const Descriptor& expected) const;
  /// Throws not_found; a symlink, device or fifo in its place is corrupt. Content is not verified here.
  UniqueFd open(const Digest& digest) const;
  /// A small blob (at most kMaxJsonBytes) whose bytes are checked against the digest; throws corrupt.
  std::string read(const Digest& digest) const;
  BlobWriter begin(DigestAlgorithm algorithm = DigestAlgorithm::sha256,
                   Durability durability = Durability::synced) const;
  /// A durable blob that takes up what an earlier writer of it left, see BlobWriter::kept(): one that ended
  /// in keep(), or whose process was killed. With none, or while another process is at it, it begins anew.
  BlobWriter resume(const Descriptor& blob) const;
  /// Bytes that resume() would take up; 0 when there is nothing.
  std::uint64_t kept(const Descriptor& blob) const;
  /// For who fetches the blob, or a part of it: held until that is done, so that nobody else fetches the
  /// same. Empty while another process or thread has it.
  std::optional<Ingest> try_take_turn(const Descriptor& blob) const;
  /// Bytes of a blob that has not come yet, whether it comes whole or in parts, and whoever fetches it.
  std::uint64_t come_so_far(const Descriptor& blob) const;
  /// The folder in which parts of the blob are kept by whoever needs no more of it (kept_parts.h). Empty
  /// while another process is at it.
  std::optional<Ingest> resume_parts(const Descriptor& blob) const;
  /// Removes what resume_parts() would give.
  void drop_parts(const Descriptor& blob) const;
  /// Stores a small document; already there is success.
  Descriptor put(std::string_view bytes, std::string_view media_type) const;
  /// Gives a file of the same file system one more name: that of the blob whose bytes it has, which the
  /// caller has hashed. Durable. It takes the place of one that is there.
  void adopt(const UniqueFd& file, const Digest& digest) const;
  std::vector<Digest> list() const;
  void remove(const Digest& digest) const;
  void remove(const Digest& digest, Trash& trash) const;

 private:
  const UniqueFd& root_;
  UniqueFd blobs_;
};

}  // namespace lay::layerstore
