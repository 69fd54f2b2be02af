#pragma once

#include <string>
#include <vector>

#include "layerstore/store.h"
#include "registry/transfer.h"

/// Images that stay in their registry.
namespace lay::registry {

/// Every tag of a repository; the tag of `reference` is not looked at.
std::vector<std::string> list_tags(const Reference& reference, const Connection& connection);

/// Manifest and config of an image, verified; no layer is fetched. Throws as pull(), of another platform only
/// where an index names several or none.
layerstore::Image inspect(const Reference& reference, const layerstore::Platform& platform,
                          const Connection& connection);

/// The bytes of the manifest of an image, chosen as inspect() does.
std::string read_manifest(const Reference& reference, const layerstore::Platform& platform,
                          const Connection& connection);
/// The bytes of that manifest's config, which need be none of an image.
std::string read_config(const Reference& reference, const layerstore::Platform& platform,
                        const Connection& connection);
/// The bytes of what the name leads to: a manifest, or an index.
std::string read_document(const Reference& reference, const Connection& connection);

/// Deletes the manifest that `reference` leads to, and with it every tag of it. Returns its digest. Throws
/// not_found, unsupported when the registry does not delete.
layerstore::Digest remove(const Reference& reference, const Connection& connection);

}  // namespace lay::registry
