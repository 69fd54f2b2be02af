#pragma once

#include "base/spill_memory.h"
#include "base/stream.h"
#include "chunked/layer_compressor.h"

namespace lay::layerstore {

/// Compresses a layer tar as zstd:chunked: each file's data in frames of their own (at most 1 MiB of it in
/// each), everything between in frames as well, and a table of contents behind them (chunked_toc.h). What
/// reads zstd reads the tar.
///   tar       read to its end
///   level     of zstd, 1 to 19; 0 is the default
///   workers   frames are made on so many threads; the bytes do not depend on it
///   out       receives the blob; not finished here
///   spill     of the table, until it is written
///   returns   the annotations of the blob's descriptor: none when the entries cannot be described
///   throws    invalid when the tar is no layer (tar_reader.h), or there is no such level
CompressedLayer write_chunked(ByteSource& tar, int level, unsigned workers, ByteSink& out,
                              const Spill& spill = {});

}  // namespace lay::layerstore
