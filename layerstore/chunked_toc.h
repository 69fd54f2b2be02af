#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/stream.h"
#include "tar_entry.h"

namespace lay::layerstore {

/// A piece of a file's data that can be fetched and decompressed alone.
struct DataFrame {
  std::uint64_t offset = 0;       ///< in the blob
  std::uint64_t packed_size = 0;  ///< in the blob
  std::uint64_t size = 0;         ///< of the data
  std::string digest;             ///< of the data
};

/// All that a table of contents tells about one entry.
struct ChunkedEntry {
  TarEntry entry;
  std::vector<std::byte> framing;  ///< padding of the entry before, and every header of this one
  std::vector<DataFrame> frames;   ///< in the order of the data
  std::string digest;              ///< of all the data; empty without data
  std::uint64_t crc = 0;           ///< of all the data, crc64_iso()
};

/// Writes the two documents of zstd:chunked while the frames are made: the table of contents (what podman and
/// others read to fetch single files), and the tar-split (what they need to make the exact tar again).
///   source   facts of containers/storage pkg/chunked and vbatts/tar-split: formats only
class ChunkedToc {
 public:
  ChunkedToc();

  void add(const ChunkedEntry& entry);
  /// What follows the last entry's data: padding and end mark. May come in pieces.
  void add_end(std::span<const std::byte> framing);
  /// Writes what makes a blob of zstd frames a zstd:chunked one: skippable frames at its end. Nothing is
  /// written when others would read the entries differently (names that are not UTF-8 or occur twice, times
  /// and sizes given in ways of their own): readers refuse such a table, and without one the blob is plain
  /// zstd.
  ///   offset    where the blob's last frame ends, and the next one begins that is written to `out`
  ///   returns   annotations of the blob's descriptor that say where the frames are; none without them
  std::map<std::string, std::string> finish(std::uint64_t offset, ByteSink& out);

 private:
  /// One document, compressed as it grows.
  struct Document {
    Document();
    void append(std::string_view text);
    StringSink packed;
    std::unique_ptr<ByteSink> compressor;
    std::uint64_t size = 0;
  };

  /// What is collected until the end.
  struct Documents {
    Document table;
    Document split;
    std::vector<std::size_t> names;  ///< hashes of those seen
  };

  void add_segment(std::span<const std::byte> framing);
  void add_file(const ChunkedEntry& entry);
  void add_to_table(const Json& json);

  std::optional<Documents> documents_{std::in_place};  ///< empty once there can be no table
  std::uint64_t position_ = 0;                         ///< of the next tar-split line
  bool is_first_ = true;
};

}  // namespace lay::layerstore
