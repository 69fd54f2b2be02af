#pragma once

#include <cstdint>
#include <memory>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "chunked/chunked_tail.h"
#include "chunked/data_table.h"
#include "chunked/local_frames.h"
#include "layerstore/partial.h"

namespace lay::layerstore {

/// How the bytes of a zstd:chunked blob that is elsewhere come together here: frames of files that blobs of
/// the store have too are copied from those, frames of headers are compressed again, the rest is fetched. The
/// result is the blob, byte for byte, or its digest says that it is not: nothing here needs to be trusted.
class PartialBlob {
 public:
  /// `table` is what the tail has, and needed no longer; `source` and `frames` must outlive it.
  PartialBlob(std::shared_ptr<const ChunkedTail> tail, const DataTable& table, const LocalFrames& frames,
              PartSource& source, const Spill& spill);
  PartialBlob(PartialBlob&&) noexcept;
  ~PartialBlob();

  /// Bytes that are fetched, the table included.
  std::uint64_t fetched() const;
  /// Writes the blob from `offset` on.
  void write(std::uint64_t offset, ByteSink& out) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace lay::layerstore
