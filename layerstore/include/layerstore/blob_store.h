#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/ingest.h"

namespace lay::layerstore {

enum class Durability {
  synced,    ///< on disk when commit() returns
  unsynced,  ///< the caller syncs the file system itself before a name makes it visible
};

/// One blob being written: a file under ingest/ that is hashed as it grows. Without commit() it vanishes.
class BlobWriter final : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override;
  /// Publishes under the digest of what was written; throws corrupt ("got … expected …") when it is not
  /// `expected` in digest or size, and then nothing is published.
  Digest commit(const Descriptor& expected);
  Digest commit();
  std::uint64_t size() const { return size_; }

 private:
  friend class BlobStore;
  BlobWriter(const UniqueFd& blobs, Ingest ingest, DigestAlgorithm algorithm, Durability durability);
  Digest publish(const std::optional<Descriptor>& expected);

  const UniqueFd& blobs_;
  Ingest ingest_;
  UniqueFd file_;
  Hasher hasher_;
  Durability durability_;
  std::uint64_t size_ = 0;
};

/// blobs/<algorithm>/<hex> of the OCI image layout (image-spec image-layout.md).
class BlobStore {
 public:
  /// `root` is the store's folder and must outlive it.
  explicit BlobStore(const UniqueFd& root);

  bool has(const Digest& digest) const;
  /// The stored size, or empty when absent.
  std::optional<std::uint64_t> size(const Digest& digest) const;
  /// Throws not_found; a symlink, device or fifo in its place is corrupt. Content is not verified here.
  UniqueFd open(const Digest& digest) const;
  /// A small blob (at most kMaxJsonBytes) whose bytes are checked against the digest; throws corrupt.
  std::string read(const Digest& digest) const;
  BlobWriter begin(DigestAlgorithm algorithm = DigestAlgorithm::sha256,
                   Durability durability = Durability::synced) const;
  /// Stores a small document; already there is success.
  Descriptor put(std::string_view bytes, std::string_view media_type) const;
  std::vector<Digest> list() const;
  void remove(const Digest& digest) const;

 private:
  const UniqueFd& root_;
  UniqueFd blobs_;
};

}  // namespace lay::layerstore
