#pragma once

#include <memory>

#include "base/stream.h"

namespace lay::layerstore {

/// zstd (RFC 8878) with `workers` threads (at least one). Every count of workers gives the same bytes: the
/// input is cut into jobs whose size depends on the level alone.
std::unique_ptr<ByteSink> make_zstd_compressor(int level, unsigned workers, ByteSink& out);

/// Reads any number of frames, skippable ones included; refuses windows above 128
/// MiB as the zstd program does.
std::unique_ptr<ByteSource> make_zstd_decompressor(ByteSource& in);

}  // namespace lay::layerstore
