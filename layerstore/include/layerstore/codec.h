#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/stream.h"

namespace lay::layerstore {

enum class Compression { none, gzip, zstd };

/// "gzip", "zstd" or "none"; throws invalid.
Compression parse_compression(std::string_view name);
std::string_view to_string(Compression compression);

/// What the first bytes of a file say (four are enough; 512 to tell a tar whose first name begins as one).
/// Throws unsupported, by name, for xz and bzip2.
Compression detect_compression(std::span<const std::byte> start);

struct CompressOptions {
  Compression compression = Compression::zstd;
  int level = 0;  ///< 0: the default of the compression
};

/// How many threads compress at once: one for each core, up to a few.
unsigned compression_workers();

/// Compresses what is written and writes it to `out`; finish() writes the trailer and finishes `out`.
/// Both compressions use every core; the bytes do not depend on how many there are, nor on how the input is
/// cut. Throws invalid when the compression does not have that level.
std::unique_ptr<ByteSink> make_compressor(const CompressOptions& options, ByteSink& out);

/// Decompresses what it reads from `in`. Throws corrupt on broken or truncated
/// input, and on bytes after its end.
std::unique_ptr<ByteSource> make_decompressor(Compression compression, ByteSource& in);

}  // namespace lay::layerstore
