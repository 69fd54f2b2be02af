#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "chunked/chunked_table.h"
#include "layerstore/descriptor.h"
#include "layerstore/partial.h"

namespace lay::layerstore {

/// The end of a zstd:chunked blob, behind the frames of its tar: the table of contents and the rest. A large
/// one lies in a file.
class ChunkedTail {
 public:
  /// Reads a part of it, for as long as that lives.
  class Source final : public ByteSource {
   public:
    Source(const ChunkedTail& tail, std::uint64_t begin, std::uint64_t size)
        : tail_(tail), at_(begin), end_(begin + size) {}
    std::size_t read(std::span<std::byte> out) override;

   private:
    const ChunkedTail& tail_;
    std::uint64_t at_;
    const std::uint64_t end_;
  };

  /// Fetches it. Throws what `source` throws; corrupt when the table is not the one that the descriptor's
  /// annotation names.
  ChunkedTail(const Descriptor& blob, const ChunkedPlaces& places, PartSource& source, const Spill& spill);
  ChunkedTail(const ChunkedTail&) = delete;
  ChunkedTail& operator=(const ChunkedTail&) = delete;

  /// Where in the blob it begins.
  std::uint64_t offset() const { return places_.tail(); }
  std::uint64_t size() const { return bytes_.size(); }
  /// Writes all but the first `skip` bytes.
  void write(std::uint64_t skip, ByteSink& out) const;
  /// Compressed.
  Source table() const { return {*this, places_.table - offset(), places_.table_size}; }
  bool has_split() const { return places_.has_split(); }
  /// The tar-split, compressed.
  Source split() const { return {*this, places_.split - offset(), places_.split_size}; }

 private:
  class Filling;

  const ChunkedPlaces places_;
  mutable SpillMemory memory_;
  std::span<std::byte> bytes_;
};

}  // namespace lay::layerstore
