#pragma once

#include <memory>

#include "base/stream.h"
#include "inflate.h"

namespace lay::layerstore {

/// One gzip member (RFC 1952) without name or time. The input is deflated in blocks of a fixed size, up to
/// `workers` at once, each primed with the 32 KiB before it, so the bytes do not depend on `workers`.
std::unique_ptr<ByteSink> make_gzip_compressor(int level, unsigned workers, ByteSink& out);

/// Reads any number of members, one after the other.
std::unique_ptr<ByteSource> make_gzip_decompressor(std::unique_ptr<Inflater> inflater, ByteSource& in);

/// The same by the fastest inflater there is.
std::unique_ptr<ByteSource> make_gzip_decompressor(ByteSource& in);

}  // namespace lay::layerstore
