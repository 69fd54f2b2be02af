#pragma once

#include <set>

#include "layerstore/blob_store.h"
#include "layerstore/descriptor.h"

namespace lay::layerstore {

/// What names lead to, and so must stay.
struct Reachable {
  std::set<Digest> blobs;
  std::set<Digest> layers;  ///< diff_ids
  /// Manifests and indexes that were read. One that a manifest calls a layer is kept, but not followed by
  /// that.
  std::set<Digest> followed = {};
};

/// Adds what `root`, a manifest or an index, leads to. A blob that is absent leads nowhere: of an index,
/// usually only the manifest for one platform was pulled. One that is there but cannot be read might lead
/// anywhere: that throws corrupt or invalid.
void mark_reachable(const BlobStore& blobs, const Descriptor& root, Reachable& found);
/// As mark_reachable(), of an entry of index.json. Errors tell which name leads there, and what to do.
void mark_reachable_entry(const BlobStore& blobs, const Descriptor& entry, Reachable& found);
/// As mark_reachable() for a manifest that is known by its digest alone.
void mark_reachable_manifest(const BlobStore& blobs, const Digest& manifest, Reachable& found);

}  // namespace lay::layerstore
