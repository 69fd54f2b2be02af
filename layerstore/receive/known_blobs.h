#pragma once

#include <map>
#include <optional>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Which stored blob the images of a store have for a layer: the same layer may lie there in any compression.
class KnownBlobs {
 public:
  explicit KnownBlobs(const Store& store);

  /// As an OCI manifest lists it; empty when there is none, or only one that is damaged or
  /// another layer. A blob is read once.
  std::optional<Descriptor> find(const Digest& diff_id) const;

 private:
  const Store& store_;
  std::map<Digest, Descriptor> blobs_;      ///< by diff_id
  mutable std::map<Digest, bool> is_good_;  ///< by diff_id
};

}  // namespace lay::layerstore
