#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/spill_memory.h"
#include "chunked/chunked_tail.h"
#include "chunked/data_table.h"
#include "chunked/local_frames.h"

namespace lay::layerstore {

/// Bytes of a blob, and where they come from.
struct BlobStretch {
  enum class Kind : std::uint8_t { fetch, local, made } kind = Kind::fetch;
  std::uint64_t size = 0;
  std::size_t blob = 0;     ///< local: which,
  std::uint64_t from = 0;   ///< and where in it
  std::string_view made{};  ///< made: these
};

/// All of a zstd:chunked blob up to its tail, one stretch behind the other: frames that the store's blobs
/// have, frames of headers that are compressed again as their writer did, and the rest, which is fetched.
class BlobStretches {
 public:
  BlobStretches(const ChunkedTail& tail, const DataTable& table, const LocalFrames& frames,
                const Spill& spill);

  BlobStretches(BlobStretches&&) noexcept;
  ~BlobStretches();

  std::size_t size() const { return rows_->items.size(); }
  const BlobStretch& at(std::size_t index) const {
    rows_->memory.count_use();
    return rows_->items[index];
  }

 private:
  struct Rows {
    explicit Rows(const Spill& spill) : memory(spill), items(memory) {}
    SpillMemory memory;
    SpillArray<BlobStretch> items;
  };
  class Joiner;
  class Planner;

  std::unique_ptr<Rows> rows_;
};

}  // namespace lay::layerstore
