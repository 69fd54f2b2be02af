#pragma once

#include <functional>
#include <optional>

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

/// A layer tar that is complete but not visible yet; without commit() it vanishes.
class StagedTar {
 public:
  const StoredTar& tar() const { return tar_; }
  /// The blob, durably, then the layer.
  void commit();

 private:
  friend StagedTar stage_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                             Progress::Task& task, const std::function<void(ByteSink& tar)>& produce);
  StagedTar(BlobWriter blob, std::optional<LayerWriter> layer, StoredTar tar);

  BlobWriter blob_;
  std::optional<LayerWriter> layer_;
  StoredTar tar_;
};

/// store_tar() up to the point where the tar's digests are known. Holds up to four descriptors open.
StagedTar stage_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                    Progress::Task& task, const std::function<void(ByteSink& tar)>& produce);

}  // namespace lay::layerstore
