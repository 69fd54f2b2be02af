#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tar/tar_entry.h"

/// Sparse files in a tar: version 1.0 of the pax sparse format (GNU tar manual, "Storing Sparse Files"). The
/// older GNU format, with the map in its headers, is read as well. In the first, the entry's data begin with
/// a map: decimal numbers, each ended by a newline, how many regions and then offset and size of each, filled
/// up with NUL to a whole block. The regions' data follow back to back.
namespace lay::layerstore {

/// The map of a file of `size` bytes; it ends with an empty region when the file ends with a hole, as GNU tar
/// wants it.
std::string write_sparse_map(std::span<const DataRegion> regions, std::uint64_t size);

/// Bytes of all regions.
std::uint64_t sum_of(std::span<const DataRegion> regions);

/// Collects the regions of a map. Throws invalid when they overlap, go backwards or leave the file.
class RegionList {
 public:
  /// `size`: of the whole file.
  explicit RegionList(std::uint64_t size) : size_(size) {}
  void add(std::uint64_t offset, std::uint64_t size);
  /// Ascending, none of them empty, and at least one byte between two.
  std::vector<DataRegion> take() { return std::move(regions_); }

 private:
  std::uint64_t size_;
  std::uint64_t end_ = 0;  ///< of the last region
  std::vector<DataRegion> regions_;
};

/// Reads the map of a file in the older GNU format: up to four regions in its header (type 'S'), and 21 in
/// each block that follows, as long as the one before says so. Strict as the other.
class OldSparseMapParser {
 public:
  /// `header` is a tar header. Throws invalid when it is not GNU's.
  explicit OldSparseMapParser(std::string_view header);

  bool is_complete() const { return !is_extended_; }
  void take(std::string_view block);
  std::uint64_t size() const { return size_; }
  std::vector<DataRegion> regions() { return regions_.take(); }

 private:
  void take_regions(std::string_view text);

  std::uint64_t size_;  ///< of the whole file
  RegionList regions_;
  bool has_ended_ = false;
  bool is_extended_;
};

/// Reads a map block by block.
class SparseMapParser {
 public:
  explicit SparseMapParser(std::uint64_t size) : regions_(size) {}

  /// Takes the next block; true when the map is complete. Throws invalid on anything that readers could
  /// understand differently: signs, blanks, regions that overlap or go backwards, bytes behind the map.
  bool take(std::string_view block);
  std::vector<DataRegion> regions() { return regions_.take(); }

 private:
  void take_number(std::uint64_t number);

  RegionList regions_;
  std::uint64_t numbers_left_ = 1;  ///< until the map is complete, as far as is known
  bool has_count_ = false;
  bool has_offset_ = false;
  std::uint64_t offset_ = 0;
  std::string digits_;
};

}  // namespace lay::layerstore
