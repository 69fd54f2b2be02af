#pragma once

#include <memory>

#include "client.h"

namespace lay::registry {

/// Where an image is fetched from, and its manifest there.
struct Origin {
  std::unique_ptr<RegistryClient> client;
  Document document;
};

/// Asks the mirrors of registries.conf in order, then the registry itself. One that fails, in whatever way,
/// is passed over; the registry has the last word: throws as RegistryClient does, and not_found when an index
/// has nothing for `platform`.
Origin find_origin(const Reference& reference, const layerstore::Platform& platform,
                   const Connection& connection);

/// As find_origin(), what the name leads to as it stands there: an index as well.
Origin find_document(const Reference& reference, const Connection& connection);

}  // namespace lay::registry
