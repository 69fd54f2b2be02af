#pragma once

#include <cstdint>
#include <functional>

#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/unpack_limits.h"

namespace lay::layerstore {

/// Passes what is decompressed, and throws unsupported, with a hint, when it exceeds the limits.
class LimitedSource final : public ByteSource {
 public:
  /// `packed_size` tells the compressed bytes of what has passed, or of all. All are kept by reference.
  LimitedSource(ByteSource& inner, const UnpackLimits& limits, std::function<std::uint64_t()> packed_size)
      : inner_(inner), limits_(limits), packed_size_(std::move(packed_size)) {}
  std::size_t read(std::span<std::byte> out) override;
  std::span<const std::byte> borrow(std::span<std::byte> scratch) override;

 private:
  void count(std::size_t bytes);

  ByteSource& inner_;
  const UnpackLimits& limits_;
  const std::function<std::uint64_t()> packed_size_;
  std::uint64_t passed_ = 0;
};

/// Passes what is going to be written below `folder`, and throws before the disk is full: the last 256 MiB,
/// or 2 % of a small disk, are left to what else the machine does. Less than 64 MiB pass in any case.
class ReservingSource final : public ByteSource {
 public:
  ReservingSource(ByteSource& inner, const UniqueFd& folder) : inner_(inner), folder_(folder) {}
  std::size_t read(std::span<std::byte> out) override;
  std::span<const std::byte> borrow(std::span<std::byte> scratch) override;

 private:
  void count(std::size_t bytes);

  ByteSource& inner_;
  const UniqueFd& folder_;
  std::uint64_t unchecked_ = 0;
};

/// Counts what is read through it.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(ByteSource& inner) : inner_(inner) {}
  std::size_t read(std::span<std::byte> out) override;
  std::uint64_t count() const { return count_; }

 private:
  ByteSource& inner_;
  std::uint64_t count_ = 0;
};

}  // namespace lay::layerstore
