#pragma once

#include <functional>
#include <memory>

#include "base/stream.h"
#include "codec/deflate.h"
#include "codec/inflate.h"

namespace lay::layerstore {

constexpr int kMaxGzipLevel = 9;

using DeflaterFactory = std::function<std::unique_ptr<Deflater>()>;

/// One gzip member (RFC 1952) without name or time. The input is deflated in blocks of a fixed size, up to
/// `workers` at once, each primed with the 32 KiB before it, so the bytes do not depend on `workers`.
std::unique_ptr<ByteSink> make_gzip_compressor(DeflaterFactory make_deflater, unsigned workers,
                                               ByteSink& out);

/// The same by ISA-L for levels 1 to 3 and by default (0), by zlib for 4 to 9 and where ISA-L is not
/// installed.
std::unique_ptr<ByteSink> make_gzip_compressor(int level, unsigned workers, ByteSink& out);

/// Reads any number of members, one after the other.
std::unique_ptr<ByteSource> make_gzip_decompressor(std::unique_ptr<Inflater> inflater, ByteSource& in);

/// The same by the fastest inflater there is.
std::unique_ptr<ByteSource> make_gzip_decompressor(ByteSource& in);

}  // namespace lay::layerstore
