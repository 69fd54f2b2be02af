#pragma once

#include <cstdint>

#include "base/progress.h"
#include "layerstore/store.h"
#include "layerstore/whole_image.h"
#include "registry/reference.h"
#include "registry/transfer.h"

/// Copies of all that a name leads to: of an index every image, whatever platform it is for, and what is no
/// image at all. Each document keeps its bytes. The caller holds Store::begin_adding(): what comes through
/// the store nothing refers to. Layers that the source has not itself, since they are kept outside of
/// registries, stay there. All throw as pull() and push() do, and invalid beyond what DocumentBudget allows.
namespace lay::registry {

struct RelayLimits {
  unsigned parallel = 3;                                   ///< blobs at once
  std::uint64_t chunk = std::uint64_t{128} * 1024 * 1024;  ///< as PushRequest::chunk
};

struct RelayTarget {
  Reference reference;
  Connection connection;
  RelayLimits limits = {};
};

/// From one registry to another. Each document comes behind what it refers to, the name last. Only blobs that
/// the target lacks, and cannot mount, come through the store.
PushResult relay(const layerstore::Store& store, const Reference& source, const Connection& connection,
                 const RelayTarget& target, Progress& progress);

/// As relay(), the one image for `platform`. Throws as pull() for what is no image, or for another platform.
PushResult relay_image(const layerstore::Store& store, const Reference& source,
                       const layerstore::Platform& platform, const Connection& connection,
                       const RelayTarget& target, Progress& progress);

/// From a registry into the store.
layerstore::WholeImage pull_whole(const layerstore::Store& store, const Reference& source,
                                  const Connection& connection, Progress& progress);
/// From the store to a registry.
PushResult push_whole(const layerstore::Store& store, const layerstore::WholeImage& whole,
                      const RelayTarget& target, Progress& progress);

}  // namespace lay::registry
