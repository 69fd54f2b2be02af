#pragma once

#include <cstdint>

#include "base/stream.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

/// Writes a file from its start and leaves holes where long runs of zeros would stand, so that what was a
/// hole where the bytes come from takes no room here. The descriptor is not owned; finish() sets the size.
class SparseFileSink final : public ByteSink {
 public:
  explicit SparseFileSink(const UniqueFd& file) : file_(file) {}
  void write(std::span<const std::byte> bytes) override;
  void finish() override;

 private:
  void write_data(std::span<const std::byte> bytes);

  const UniqueFd& file_;
  std::uint64_t offset_ = 0;
};

}  // namespace lay::layerstore
