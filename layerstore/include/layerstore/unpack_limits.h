#pragma once

#include <cstdint>
#include <optional>

namespace lay::layerstore {

/// What a layer from elsewhere may grow to here.
struct UnpackLimits {
  /// Bytes of one layer, unpacked. Without it a layer may have 1 GiB, or 200 times its size where it is
  /// compressed: of real ones few reach 20, while gzip goes to 1,032 and zstd to 30,000.
  std::optional<std::uint64_t> most_bytes;
  /// Entries of one layer, with the folders that it only implies. Each takes an inode, or some 110 bytes of
  /// memory.
  std::uint64_t most_entries = 10'000'000;
};

}  // namespace lay::layerstore
