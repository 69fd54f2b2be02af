#pragma once

#include <cstdint>
#include <memory>

#include "base/progress.h"
#include "base/stream.h"
#include "layerstore/blob_store.h"
#include "layerstore/descriptor.h"

namespace lay::registry {

/// Reads a blob of the store for sending, in pieces and again where a piece was lost. All of it is hashed
/// whatever is sent, and checked before the last bytes are handed out, so a damaged blob never leaves whole:
/// throws corrupt ("got … expected …"), not_found. For one thread.
class BlobReader {
 public:
  /// `task` hears of every byte once; `blobs`, `blob` and `task` must outlive it.
  BlobReader(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob, Progress::Task& task);

  /// The bytes from `offset` on, `size` of them. Only the last one that was opened may be read.
  std::unique_ptr<ByteSource> open(std::uint64_t offset, std::uint64_t size);

 private:
  class Piece;
  void seek(std::uint64_t offset);
  std::size_t read(std::span<std::byte> out);
  void verify();

  const layerstore::Descriptor& blob_;
  Progress::Task& task_;
  const UniqueFd file_;
  layerstore::Hasher hasher_;
  std::uint64_t position_ = 0;
  std::uint64_t told_ = 0;  ///< bytes that `task` knows of
};

}  // namespace lay::registry
