#pragma once

#include <functional>

#include "base/progress.h"
#include "base/stream.h"
#include "layerstore/codec.h"
#include "layerstore/store.h"

namespace lay::layerstore {

struct StoredTar {
  Descriptor blob;
  Digest diff_id;
  ApplyStats stats;
};

/// What becomes of a new tar where layers are unpacked rather than mounted.
enum class TreeForm {
  make,  ///< unpacked in the same pass
  leave  ///< made when it is needed: its files are elsewhere already
};

/// Stores the layer tar that `produce` writes: compressed as a durable blob, and ready to be mounted.
/// One pass and three threads: `produce`; hashing, reading and storing the tar; compressing and storing the
/// blob. The caller holds Store::share().
StoredTar store_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                    Progress& progress, const std::function<void(ByteSink& tar)>& produce);

}  // namespace lay::layerstore
