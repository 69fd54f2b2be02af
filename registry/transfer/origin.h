#pragma once

#include <memory>

#include "client/client.h"

namespace lay::registry {

/// Where an image is fetched from, and its manifest there.
struct Origin {
  std::unique_ptr<RegistryClient> client;
  Document document;
  /// Of an index that tells no platforms: whether the image is for the wanted one, its config says
  /// (layerstore::require_platform).
  bool is_guess = false;
};

/// Asks the mirrors of registries.conf in order, then the registry itself. One that fails, in whatever way,
/// is passed over; the registry has the last word: throws as RegistryClient does, and not_found when an index
/// has nothing for `platform`.
Origin find_origin(const Reference& reference, const layerstore::Platform& platform,
                   const Connection& connection);

/// As find_origin(), what the name leads to as it stands there: an index as well. A mirror counts only when
/// it has every document that the index lists, and those that they list.
Origin find_document(const Reference& reference, const Connection& connection);

}  // namespace lay::registry
