#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/spill_memory.h"
#include "chunked/local_files.h"
#include "chunked/local_frames.h"
#include "chunked/packed_files.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// Where a chunk's data come from.
struct ChunkOrigin {
  enum class Kind : std::uint8_t { fetched, zeros, frame, file } kind = Kind::fetched;
  LocalFile file{};            ///< file: which,
  std::uint64_t position = 0;  ///< and where in its data
  LocalData frame{};
};

/// Finds for the data of a zstd:chunked blob's files what the store has of them: frames of its blobs, whose
/// tables tell the digests, and files of its layers, which are hashed when their path and size make them
/// likely.
class ChunkOrigins {
 public:
  /// `files` and `frames` must outlive it; `like` as LocalFiles::look().
  ChunkOrigins(const Store& store, const PackedFiles& files, const LocalFrames& frames, const Spill& spill);

  /// Looks for all of them. False, with nothing hashed, when it is clear beforehand that more than `most`
  /// compressed bytes would be missing.
  ///   most_in_vain   bytes that may be hashed for nothing; what is not found by then is fetched. In all, 200
  ///                  times as many may be, for a table may name one local file a million times
  bool find(const std::string& like, std::uint64_t most, std::uint64_t most_in_vain);
  const ChunkOrigin& of(std::size_t chunk) const;
  LocalFiles& local() { return local_; }

 private:
  void find_frames();
  bool is_missing(const PackedFile& file) const;
  bool may_be_worth_it(std::uint64_t most);
  void find_file(const PackedFile& file);
  bool take_chunks(const PackedFile& file, const LocalFile& candidate);
  bool is_same(const PackedChunk& chunk, const LocalFile& candidate, std::uint64_t position);
  bool is_guessed(const LocalFile& candidate) const;

  const PackedFiles& files_;
  const LocalFrames& frames_;
  mutable SpillMemory memory_;
  SpillArray<ChunkOrigin> origins_;
  LocalFiles local_;
  std::uint64_t in_vain_ = 0;                           ///< bytes that were hashed for nothing
  std::uint64_t hashed_ = 0;                            ///< bytes
  std::unordered_map<std::uint64_t, unsigned> misses_;  ///< of small data, by the candidate
  std::uint64_t most_in_vain_ = 0;
};

}  // namespace lay::layerstore
