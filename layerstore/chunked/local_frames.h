#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/spill_map.h"
#include "base/unique_fd.h"
#include "chunked/chunked_table.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// Layers of the store that are looked at for data that one from elsewhere has too.
constexpr std::size_t kMaxSources = 50;

/// Compressed data of a file that lie in a blob of the store.
struct LocalData {
  std::size_t blob = 0;  ///< which of LocalFrames
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Data that the store's zstd:chunked blobs have, by their digest.
class LocalFrames {
 public:
  /// Reads the tables of the zstd layers of every image, and keeps of them what is among `wanted`, which is
  /// sorted.
  LocalFrames(const Store& store, std::span<const DigestKey> wanted, const Spill& spill);

  /// Null when no blob has them. Valid until the next call.
  const LocalData* find(DigestKey key) const;
  bool is_empty() const { return is_empty_; }
  const UniqueFd& blob(std::size_t index) const { return files_[index]; }

 private:
  void add(const Store& store, const Descriptor& layer, std::span<const DigestKey> wanted);

  mutable SpillMemory memory_;
  mutable SpillMap<DigestKey, LocalData> frames_;
  bool is_empty_ = true;
  std::vector<UniqueFd> files_;
};

/// Reads from a blob of the store, or a layer's file. A disk that cannot read what was to be copied need not
/// be at fault where it is written: that is corrupt here.
std::size_t read_local(const UniqueFd& file, std::span<std::byte> buffer, std::uint64_t offset);

}  // namespace lay::layerstore
