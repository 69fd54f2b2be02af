#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/spill_memory.h"
#include "chunked/chunked_table.h"
#include "layerstore/digest.h"

namespace lay::layerstore {

/// A SHA-256 as its bytes: half of what its digits take.
using Sha256 = std::array<std::byte, 32>;
/// Throws unsupported for other algorithms.
Sha256 sha256_of(const Digest& digest);

/// A piece of a file's data as it lies in a zstd:chunked blob: one or several whole frames.
struct PackedChunk {
  Sha256 digest{};                ///< of the data
  std::uint64_t offset = 0;       ///< in the blob
  std::uint64_t packed_size = 0;  ///< in the blob
  std::uint64_t size = 0;         ///< of the data
  bool is_zeros = false;          ///< all of the data, which has no digest then

  std::uint64_t end() const { return offset + packed_size; }
};

/// A file that has data.
struct PackedFile {
  std::string_view path;  ///< cleaned; "" when no layer may have it
  std::uint64_t size = 0;
  std::size_t first = 0;  ///< of its chunks,
  std::size_t count = 0;  ///< which lie one behind the other
};

/// The files of a zstd:chunked blob, in the order of its tar.
class PackedFiles {
 public:
  /// Of a compressed table of contents, for a tar whose frames end at `end`. Throws invalid when the table
  /// contradicts itself: the chunks of a file are all of its data, and nothing overlaps.
  PackedFiles(ByteSource& packed, std::uint64_t end, const Spill& spill);

  std::size_t size() const { return files_.size(); }
  const PackedFile& file(std::size_t index) const;
  const PackedChunk& chunk(std::size_t index) const;
  std::size_t chunk_count() const { return chunks_.size(); }

 private:
  void add(const TableEntry& entry);
  void begin_file(const TableEntry& entry);
  void add_chunk(const TableEntry& entry);
  void end_file();

  mutable SpillMemory memory_;
  SpillArray<PackedFile> files_;
  SpillArray<PackedChunk> chunks_;
  std::uint64_t end_ = 0;         ///< of the last file in the blob
  std::uint64_t data_ = 0;        ///< what the chunks of the last file have of it
  bool is_in_file_ = false;       ///< whether chunks may follow
  std::uint64_t file_end_ = 0;    ///< of that file in the blob
  const std::uint64_t blob_end_;  ///< of all files
};

}  // namespace lay::layerstore
