#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "layerstore/apply.h"
#include "layerstore/blob_store.h"
#include "layerstore/ingest.h"

namespace lay::layerstore {

/// One layer being made ready to mount; without commit() it vanishes.
class LayerWriter {
 public:
  /// Unpacks the tar and hashes every byte of it. Called once.
  ApplyStats apply(ByteSource& tar);
  /// Throws corrupt when the tar's diff_id is not `expected`.
  void verify(const Digest& expected) const;
  /// Syncs, and makes the layer visible under `expected`; throws corrupt when the tar's diff_id is another
  /// one. A layer that somebody else made meanwhile is success.
  Digest commit(const Digest& expected);
  Digest commit();

 private:
  friend class LayerStore;
  LayerWriter(const UniqueFd& layers, Ingest ingest, DigestAlgorithm algorithm);
  const UniqueFd& layers_;
  Ingest ingest_;
  DigestAlgorithm algorithm_;
  std::optional<Digest> diff_id_;
};

/// layers/<diff_id hex>/tree: layers ready to be mounted as overlay lowers, shared
/// by every image that has them.
class LayerStore {
 public:
  /// `root` is the store's folder and must outlive it; `root_path` is how others reach it.
  LayerStore(const UniqueFd& root, std::string root_path);

  bool has(const Digest& diff_id) const;
  /// Absolute path of the folder to mount; throws not_found.
  std::string path(const Digest& diff_id) const;
  /// `algorithm` is that of the diff_id it will be checked against.
  LayerWriter begin(DigestAlgorithm algorithm = DigestAlgorithm::sha256) const;
  /// Makes the layer from its blob when it is not there; both digests are verified on the way.
  void ensure(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const;
  std::vector<Digest> list() const;
  void remove(const Digest& diff_id) const;

 private:
  const UniqueFd& root_;
  std::string root_path_;
  UniqueFd layers_;
};

}  // namespace lay::layerstore
