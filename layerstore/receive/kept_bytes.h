#pragma once

#include "base/stream.h"
#include "layerstore/blob_store.h"

namespace lay::layerstore {

/// Gives `out` the bytes of a blob that an earlier writer left, BlobWriter::kept() of them. Throws corrupt
/// when they are no more there, cancelled.
void read_kept(const BlobWriter& writer, ByteSink& out);

}  // namespace lay::layerstore
