#pragma once

#include <functional>
#include <map>
#include <optional>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Which stored blob the images of a store have for a layer: the same layer may lie there in any compression.
class KnownBlobs {
 public:
  explicit KnownBlobs(const Store& store);

  /// As an OCI manifest lists it; empty when there is none that `fits`, or only some that are damaged or
  /// another layer. A blob is read once.
  std::optional<Descriptor> find(const Digest& diff_id,
                                 const std::function<bool(const Descriptor& blob)>& fits = {}) const;

 private:
  const Store& store_;
  std::multimap<Digest, Descriptor> blobs_;                    ///< by diff_id
  mutable std::map<std::pair<Digest, Digest>, bool> is_good_;  ///< of diff_id and blob
};

}  // namespace lay::layerstore
