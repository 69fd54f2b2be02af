#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/stream.h"

struct ZSTD_CCtx_s;  // zstd.h
struct ZSTD_DCtx_s;

namespace lay::layerstore {

constexpr int kMaxZstdLevel = 19;  ///< above, windows grow past what decoders accept without being asked

/// zstd (RFC 8878) with `workers` threads. Every count of workers gives the same bytes: the input is cut into
/// jobs whose size depends on the level alone. 0 compresses in the calling thread, to other bytes.
std::unique_ptr<ByteSink> make_zstd_compressor(int level, unsigned workers, ByteSink& out);

/// Makes single frames of bytes in memory, one after the other. They have no checksum: the digests of the
/// blob, of the tar and of each file say more, and it takes a twentieth of the compressor's time.
class ZstdFrames {
 public:
  /// `level` 0 is the default. Throws invalid when zstd does not have that level.
  explicit ZstdFrames(int level);
  /// Bytes that one takes, about, for frames of up to `size` bytes.
  static std::size_t memory(int level, std::size_t size);
  /// Writes one frame to `out`, which has ZSTD_compressBound() bytes; returns its size.
  std::size_t compress(std::span<const std::byte> bytes, std::span<std::byte> out);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  const int level_;
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

/// Unpacks small pieces of data, each some whole frames in memory, one after the other.
class ZstdPieces {
 public:
  ZstdPieces();
  /// Exactly `size` bytes, valid until the next call. Throws corrupt when the frames have more or fewer.
  std::span<const std::byte> unpack(std::span<const std::byte> frames, std::size_t size);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  std::vector<std::byte> plain_;
};

/// Reads any number of frames, skippable ones included; refuses windows above 128
/// MiB as the zstd program does.
std::unique_ptr<ByteSource> make_zstd_decompressor(ByteSource& in);

}  // namespace lay::layerstore
