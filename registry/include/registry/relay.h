#pragma once

#include <cstdint>

#include "base/progress.h"
#include "layerstore/store.h"
#include "registry/reference.h"
#include "registry/transfer.h"

namespace lay::registry {

struct RelayRequest {
  Reference source;
  Reference target;
  Connection source_connection;
  Connection target_connection;
  unsigned parallel = 3;
  std::uint64_t chunk = std::uint64_t{128} * 1024 * 1024;  ///< as PushRequest::chunk
};

/// Copies what a name leads to from one registry to another, with all that it refers to: of an index every
/// image, whatever platform it is for, and what is no image at all. Each document keeps its bytes, and comes
/// behind what it refers to, the name last. Blobs that the target lacks, and cannot mount, come through the
/// store, where nothing refers to them (the caller holds Store::begin_adding()); layers that the source
/// has not itself, since they are kept outside of registries, stay there. Throws as pull() and push() do.
PushResult relay(const layerstore::Store& store, const RelayRequest& request, Progress& progress);

}  // namespace lay::registry
