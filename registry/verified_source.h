#pragma once

#include "base/progress.h"
#include "base/stream.h"
#include "layerstore/blob_store.h"
#include "layerstore/descriptor.h"

namespace lay::registry {

/// Reads a blob of the store for sending. Its digest is checked before the last bytes are handed out, so a
/// damaged blob never leaves whole: throws corrupt ("got … expected …"), not_found.
class VerifiedSource final : public ByteSource {
 public:
  /// `task` hears of every byte.
  VerifiedSource(const layerstore::BlobStore& blobs, const layerstore::Descriptor& blob,
                 Progress::Task& task);
  std::size_t read(std::span<std::byte> out) override;

 private:
  void verify();

  const layerstore::Descriptor blob_;
  Progress::Task& task_;
  const UniqueFd file_;
  layerstore::Hasher hasher_;
  std::uint64_t size_ = 0;
};

}  // namespace lay::registry
