#pragma once

#include <string>
#include <string_view>

#include "chunked_table.h"
#include "layerstore/descriptor.h"
#include "layerstore/partial.h"

namespace lay::layerstore {

/// The end of a zstd:chunked blob, behind the frames of its tar: the table of contents and the rest.
class ChunkedTail {
 public:
  /// Fetches it. Throws what `source` throws; corrupt when the table is not the one that the descriptor's
  /// annotation names.
  ChunkedTail(const Descriptor& blob, const ChunkedPlaces& places, PartSource& source);
  ChunkedTail(const ChunkedTail&) = delete;
  ChunkedTail& operator=(const ChunkedTail&) = delete;

  /// Where in the blob it begins.
  std::uint64_t offset() const { return places_.tail(); }
  const std::string& bytes() const { return bytes_; }
  /// Compressed.
  std::string_view table() const { return part(places_.table, places_.table_size); }
  bool has_split() const { return places_.has_split(); }
  /// The tar-split, compressed.
  std::string_view split() const { return part(places_.split, places_.split_size); }

 private:
  std::string_view part(std::uint64_t offset, std::uint64_t size) const;

  const ChunkedPlaces places_;
  std::string bytes_;
};

}  // namespace lay::layerstore
