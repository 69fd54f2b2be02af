#pragma once

#include <map>
#include <string>

#include "base/stream.h"
#include "layerstore/codec.h"

namespace lay::layerstore {

/// Compresses a layer tar: zstd as zstd:chunked (chunked_writer.h), everything else as make_compressor()
/// does.
///   tar       read to its end
///   out       receives the blob; not finished here
///   returns   annotations for the blob's descriptor
/// Uses every core; the bytes do not depend on how many there are.
std::map<std::string, std::string> compress_layer(ByteSource& tar, const CompressOptions& options,
                                                  ByteSink& out);

}  // namespace lay::layerstore
