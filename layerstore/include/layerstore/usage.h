#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// What one image takes on disk, blobs and mountable layers together.
struct ImageUsage {
  std::string name;
  Digest manifest;
  std::uint64_t shared = 0;  ///< bytes that another image needs as well
  std::uint64_t unique = 0;  ///< bytes that go when this image does (all its names)
};

struct StoreUsage {
  std::vector<ImageUsage> images;  ///< one for each name, sorted
  std::uint64_t used = 0;          ///< bytes that names or containers need, each counted once
  std::uint64_t held = 0;          ///< bytes that neither needs, but InUse::blobs names
  std::uint64_t reclaimable = 0;  ///< bytes that a collection removes, leftovers of killed processes included
  /// Of images that cannot be read: they are not in the list, and since they might need anything, all that is
  /// there counts as used.
  std::vector<Error> damages;
};

/// Bytes as the file system counts them (st_blocks): holes are free, a file with two names is one. What
/// others work on in ingest/ just now is neither used nor reclaimable.
StoreUsage measure_usage(const Store& store, const InUse& in_use);

/// Bytes on disk of everything beneath `path`.
std::uint64_t disk_size(const UniqueFd& folder);

}  // namespace lay::layerstore
