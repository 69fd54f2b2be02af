#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tar_entry.h"

/// Sparse files in a tar: version 1.0 of the pax sparse format (GNU tar manual, "Storing Sparse Files"). The
/// entry's data begin with a map: decimal numbers, each ended by a newline, how many regions and then offset
/// and size of each, filled up with NUL to a whole block. The regions' data follow back to back.
namespace lay::layerstore {

/// The map of a file of `size` bytes; it ends with an empty region when the file ends with a hole, as GNU tar
/// wants it.
std::string write_sparse_map(std::span<const DataRegion> regions, std::uint64_t size);

/// Bytes of all regions.
std::uint64_t sum_of(std::span<const DataRegion> regions);

/// Reads a map block by block.
class SparseMapParser {
 public:
  /// `size`: of the whole file, which no region may leave.
  explicit SparseMapParser(std::uint64_t size) : size_(size) {}

  /// Takes the next block; true when the map is complete. Throws invalid on anything that readers could
  /// understand differently: signs, blanks, regions that overlap or go backwards, bytes behind the map.
  bool take(std::string_view block);
  /// What was read: ascending, none of them empty, and at least one byte between two.
  std::vector<DataRegion> regions() { return std::move(regions_); }

 private:
  void take_number(std::uint64_t number);

  const std::uint64_t size_;
  std::vector<DataRegion> regions_;
  std::uint64_t numbers_left_ = 1;  ///< until the map is complete, as far as is known
  bool has_count_ = false;
  bool has_offset_ = false;
  std::uint64_t offset_ = 0;
  std::uint64_t end_ = 0;  ///< of the last region
  std::string digits_;
};

}  // namespace lay::layerstore
