#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/unique_fd.h"
#include "layerstore/absent_blobs.h"
#include "layerstore/blob_store.h"
#include "layerstore/image_config.h"
#include "layerstore/image_store.h"
#include "layerstore/layer_store.h"
#include "layerstore/manifest.h"
#include "layerstore/trash.h"

namespace lay::layerstore {

/// What an image name leads to, read and verified.
struct Image {
  Descriptor descriptor;  ///< of the manifest; its digest is the image's identity between machines
  Manifest manifest;
  ImageConfig config;
  /// The digest of the config, the "image id" that docker and podman show.
  const Digest& id() const { return manifest.config.digest; }
};

/// Whether a collection took place.
enum class Collecting {
  done,
  gave_way,  ///< somebody holds Store::share()
  unknown    ///< InUse::everything
};

struct CollectResult {
  Collecting collecting = Collecting::done;
  std::uint64_t blobs = 0;
  std::uint64_t layers = 0;
  std::uint64_t bytes = 0;       ///< of removed blobs
  std::optional<Trash> trash{};  ///< they and the layers, until this is destroyed
};

/// What must not be collected though no name may reach it any more: containers stand on it, or a registry
/// serves it.
struct InUse {
  std::set<Digest> manifests;  ///< with all they reach, so that their containers can still be committed
  std::set<Digest> layers;     ///< diff_ids
  std::set<Digest> blobs;      ///< these alone, without what they reach
  bool everything = false;     ///< it cannot be told what is needed: nothing is collected
};

/// One root: an OCI image layout with layers/ and ingest/ beside it (docs/architecture.md, "The store").
class Store {
 public:
  /// Opens `root`, making it (0700) when absent. Throws denied with a hint when the user may not write there,
  /// invalid when the folder holds something that is not a store.
  /// New layers take `form`, or without it the best that can be mounted here.
  static Store open(const std::string& root, std::optional<LayerForm> form = std::nullopt,
                    UnpackLimits limits = {});
  /// As open(), but makes nothing: empty when there is no store yet.
  static std::optional<Store> open_existing(const std::string& root,
                                            std::optional<LayerForm> form = std::nullopt,
                                            UnpackLimits limits = {});
  Store(Store&&) noexcept = default;

  const std::string& path() const { return path_; }
  const BlobStore& blobs() const { return *blobs_; }
  const LayerStore& layers() const { return *layers_; }
  const AbsentBlobs& absent() const { return *absent_; }
  const ImageStore& images() const { return *images_; }

  /// Held by whoever adds blobs or layers until a name (or a container) reaches them: while anybody holds it,
  /// nothing is collected.
  FileLock share() const;
  /// As share(), for what takes longer: removes first what killed commits and pulls left behind.
  FileLock begin_adding() const;

  /// Removes what pulls that failed keep for the next try, however young (commit.h, receive_layer).
  void drop_parts() const;

  /// Reads manifest and config of a descriptor; throws corrupt or not_found, naming the blob.
  Image load(const Descriptor& manifest) const;

  /// Removes every blob and layer that neither a name nor what `in_use` tells reaches, and the records of
  /// absent blobs that are not needed any more. It is asked when
  /// nobody else adds anything any more: whoever makes a container holds share() until it can be seen. When a
  /// writer is at work nothing is collected, and the result says so; the next call does it. Throws corrupt,
  /// having removed nothing, when a manifest cannot be read, since it might reach anything; of one that has a
  /// name the error tells that.
  CollectResult collect(const std::function<InUse()>& in_use) const;

 private:
  Store(std::string path, UniqueFd root, std::optional<LayerForm> form, UnpackLimits limits);
  std::string path_;
  std::unique_ptr<UniqueFd> root_;  // on the heap: the parts below hold references to it
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<LayerStore> layers_;
  std::unique_ptr<AbsentBlobs> absent_;
  std::unique_ptr<ImageStore> images_;
};

}  // namespace lay::layerstore
