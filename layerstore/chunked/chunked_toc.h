#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/spill_memory.h"
#include "base/stream.h"
#include "layerstore/digest.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Whether a descriptor's annotation is one of those that say where the table of contents is.
bool is_of_chunked(std::string_view annotation);

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

/// Keeps what is written to it, and its digest.
class KeptBytes final : public ByteSink {
 public:
  explicit KeptBytes(SpillMemory& memory) : memory_(memory) {}
  void write(std::span<const std::byte> bytes) override;
  std::uint64_t size() const { return size_; }
  /// Called once, last.
  Digest digest() { return hasher_.finish(); }
  void copy_to(ByteSink& out) const;

 private:
  SpillMemory& memory_;
  std::vector<std::span<const std::byte>> pieces_;
  std::uint64_t size_ = 0;
  Hasher hasher_;
};

/// Finds out whether any of many hashes comes twice.
class SeenHashes {
 public:
  explicit SeenHashes(SpillMemory& memory) : memory_(memory) {}
  void add(std::size_t hash);
  /// Called once, last.
  bool has_repeated();

 private:
  void sort_last();

  SpillMemory& memory_;
  std::vector<std::span<std::size_t>> blocks_;  ///< each sorted once it is full
  std::size_t used_ = 0;                        ///< of the last
};

/// Writes the two documents of zstd:chunked while the frames are made: the table of contents (what podman and
/// others read to fetch single files), and the tar-split (what they need to make the exact tar again).
///   source   facts of containers/storage pkg/chunked and vbatts/tar-split: formats only
class ChunkedToc {
 public:
  explicit ChunkedToc(const Spill& spill = {});

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
    explicit Document(SpillMemory& memory);
    void append(std::string_view text);
    KeptBytes packed;
    std::unique_ptr<ByteSink> compressor;
    std::uint64_t size = 0;
  };

  /// What is collected until the end.
  struct Documents {
    explicit Documents(SpillMemory& memory) : table(memory), split(memory), names(memory) {}

    Document table;
    Document split;
    SeenHashes names;
  };

  void add_segment(std::span<const std::byte> framing);
  void add_file(const ChunkedEntry& entry);
  void end_split_line(JsonObjectText& object);

  SpillMemory memory_;
  std::optional<Documents> documents_;  ///< empty once there can be no table
  std::uint64_t position_ = 0;          ///< of the next tar-split line
  bool is_first_ = true;
  std::string line_;  ///< that is being made
};

}  // namespace lay::layerstore
