#pragma once

#include <cstdint>
#include <optional>

#include "base/early_writeback.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/durability.h"

namespace lay::layerstore {

/// Writes a file from its start and leaves holes where long runs of zeros would stand, so that what was a
/// hole where the bytes come from takes no room here. The descriptor is not owned; finish() sets the size.
class SparseFileSink final : public ByteSink {
 public:
  /// `durability` says whether the caller is going to sync the file.
  explicit SparseFileSink(const UniqueFd& file, Durability durability = Durability::unsynced) : file_(file) {
    if (durability == Durability::synced) writeback_.emplace(file);
  }
  void write(std::span<const std::byte> bytes) override;
  void finish() override;

 private:
  void write_data(std::span<const std::byte> bytes);

  const UniqueFd& file_;
  std::optional<EarlyWriteback> writeback_;
  std::uint64_t offset_ = 0;
};

}  // namespace lay::layerstore
