#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "layerstore/blob_store.h"
#include "layerstore/codec.h"

namespace lay::layerstore {

/// recompressed/<algorithm>.<diff_id>.<compression>.<level>: which blob a layer became when it was compressed
/// so: for a push, or by a commit at a level of its own, which nothing else tells. Memory, not truth.
class RecompressedBlobs {
 public:
  /// `root` is the store's folder; both must outlive it.
  RecompressedBlobs(const UniqueFd& root, const BlobStore& blobs) : root_(root), blobs_(blobs) {}

  /// Empty when there is none, or its blob is not there any more.
  std::optional<Descriptor> find(const Digest& diff_id, const CompressOptions& options) const;
  /// The level at which the layer became `blob`, whether that is there or not; empty where nobody noted it.
  std::optional<int> find_level(const Digest& diff_id, const Descriptor& blob) const;
  void note(const Digest& diff_id, const CompressOptions& options, const Descriptor& blob) const;
  /// Forgets those whose blobs nobody needs. One that is needed but lost can be made again by its note.
  void keep_only(const std::function<bool(const Digest& blob)>& is_needed) const;

 private:
  const UniqueFd& root_;
  const BlobStore& blobs_;
};

}  // namespace lay::layerstore
