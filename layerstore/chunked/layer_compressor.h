#pragma once

#include <map>
#include <string>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "layerstore/codec.h"
#include "layerstore/digest.h"

namespace lay::layerstore {

struct CompressedLayer {
  std::map<std::string, std::string> annotations;  ///< for the blob's descriptor
  Digest diff_id;
};

/// Compresses a layer tar: zstd as zstd:chunked (chunked_writer.h), everything else as make_compressor()
/// does. The tar is hashed in the same pass.
///   tar       read to its end
///   out       receives the blob; not finished here
///   spill     of what is kept of each entry until the end
/// Uses every core; the bytes do not depend on how many there are.
CompressedLayer compress_layer(ByteSource& tar, const CompressOptions& options, ByteSink& out,
                               const Spill& spill = {});

/// As compress_layer(), while another thread hashes and writes what comes out.
CompressedLayer compress_beside(ByteSource& tar, const CompressOptions& options, ByteSink& blob,
                                const Spill& spill);

}  // namespace lay::layerstore
