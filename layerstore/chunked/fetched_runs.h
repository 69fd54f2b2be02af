#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/codec_zstd.h"
#include "layerstore/partial.h"

namespace lay::layerstore {

/// Stretches of a blob that are fetched together, since a request costs more than the few bytes between what
/// is needed of them. Large ones stand alone.
class RunPlan {
 public:
  /// For all that is needed, in the order of the blob.
  void add(const BlobPart& needed);
  const std::vector<BlobPart>& runs() const { return runs_; }
  std::uint64_t size() const;

 private:
  std::vector<BlobPart> runs_;
};

/// Unpacks what is needed of such runs, in that order.
class FetchedRuns {
 public:
  /// `runs` must outlive it.
  FetchedRuns(PartSource& source, const std::vector<BlobPart>& runs);
  /// Writes what the frames of that part unpack to. Throws corrupt when that is not `size` bytes.
  void unpack(const BlobPart& part, std::optional<std::uint64_t> size, ByteSink& out);

 private:
  void unpack_large(const BlobPart& part, std::optional<std::uint64_t> size, ByteSink& out);

  PartSource& source_;
  const std::vector<BlobPart>& runs_;
  std::size_t next_ = 0;  ///< of the runs, to be fetched
  BlobPart held_;
  std::string bytes_;  ///< of the one that is held
  ZstdPieces pieces_;
};

/// Writes what the frames unpack to, of which never more than one byte beyond `size` is made. Throws corrupt
/// when it is not that many.
void unpack_frames(ByteSource& frames, std::optional<std::uint64_t> size, ByteSink& out);

/// Data up to this size are unpacked in memory, frames likewise.
constexpr std::uint64_t kInMemory = 1024 * 1024;

}  // namespace lay::layerstore
