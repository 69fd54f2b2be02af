#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lay::layerstore {

enum class BlockKind { inner, last };

/// Deflates single blocks of one stream, one after the other.
class Deflater {
 public:
  virtual ~Deflater() = default;
  /// Deflate data (RFC 1951) that end at a byte, or the stream; valid until the next call.
  ///   before   the bytes in front of the block, at most 32 KiB, which it may refer to
  virtual std::span<const std::byte> deflate(std::span<const std::byte> before,
                                             std::span<const std::byte> block, BlockKind kind) = 0;
  /// The CRC-32 of RFC 1952.
  virtual std::uint32_t crc(std::span<const std::byte> block) const = 0;
};

/// By ISA-L, five times as fast as zlib for the size of zlib's level 2 or 3. Null where the library is not
/// installed. `level` is 1 to 3.
std::unique_ptr<Deflater> make_isal_deflater(int level);

/// `level` is 1 to 9.
std::unique_ptr<Deflater> make_zlib_deflater(int level);

}  // namespace lay::layerstore
