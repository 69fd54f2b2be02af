#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/lazy.h"
#include "base/stream.h"
#include "layerstore/apply.h"
#include "layerstore/blob_store.h"
#include "layerstore/durability.h"
#include "layerstore/ingest.h"
#include "layerstore/layer_form.h"
#include "layerstore/lower_link.h"
#include "layerstore/trash.h"
#include "layerstore/unpack_limits.h"

namespace lay::layerstore {

class LayerStore;

/// Whether a layer is mounted from this file.
using IsMounted = std::function<bool(const UniqueFd& image)>;

/// One layer being made ready to mount; without commit() it vanishes.
class LayerWriter {
 public:
  /// Takes a tar from elsewhere in and hashes every byte of it; throws when that would fill the disk. Called
  /// once.
  ApplyStats apply(ByteSource& tar);
  /// As apply(), of a tar that the caller hashes, and will soon sync if `durability` says so.
  ApplyStats apply_unhashed(ByteSource& tar, Durability durability);
  /// Of what apply_unhashed() took in.
  void set_diff_id(Digest diff_id) { diff_id_ = std::move(diff_id); }
  /// Of what was taken in.
  const Digest& diff_id() const { return diff_id_.value(); }
  /// The tar as it was taken in; in the tree form there is none.
  UniqueFd open_tar() const;
  /// To be called when the tar that was taken in was seen to come from `blob`: see LayerStore::is_from.
  void note_blob(const Descriptor& blob);
  /// Throws corrupt when the tar's diff_id is not `expected`.
  void verify(const Digest& expected) const;
  /// Syncs what commit() is to sync, for a caller who wants that to take a moment only. No note after it.
  void settle();
  /// Makes the layer visible under `expected`; throws corrupt when the tar's diff_id is another one. It
  /// takes the place of one that is there already, and so heals it. The tree form is synced first; of the
  /// erofs form, which can be checked, it is only noted that it is not.
  Digest commit(const Digest& expected);
  Digest commit();

 private:
  friend class LayerStore;
  LayerWriter(const LayerStore& store, Ingest ingest, DigestAlgorithm algorithm, LayerForm form,
              std::uint64_t most_entries);
  bool is_unpacked() const;
  void replace();
  const LayerStore& store_;
  Ingest ingest_;
  UniqueFd dir_;
  DigestAlgorithm algorithm_;
  LayerForm form_;
  std::uint64_t most_entries_;
  std::optional<Digest> diff_id_;
  bool is_settled_ = false;
};

/// A layer as whoever mounts it needs it.
struct OpenLayer {
  LayerForm form = LayerForm::tree;
  UniqueFd image;         ///< erofs form: what is mounted,
  UniqueFd tar;           ///< and its device
  std::string tree_path;  ///< tree form: absolute
  StackedFolders folders;
};

/// layers/<diff_id hex>/: layers ready to be mounted as overlay lowers, shared by every image that has them.
class LayerStore {
 public:
  /// `root` is the store's folder and must outlive it; `root_path` is how others reach it. Without `form` the
  /// best that this machine can mount is taken for new layers. `limits` are for those of others.
  LayerStore(const UniqueFd& root, std::string root_path, std::optional<LayerForm> form, UnpackLimits limits);

  bool has(const Digest& diff_id) const;
  /// Says that what is there of the layer is damaged: from now on it counts as missing here, and stays until
  /// commit() or recover() has a good one in its place.
  void distrust(const Digest& diff_id) const;
  /// Whether it is there and not seen to be damaged, without a look at its data.
  bool is_sound(const Digest& diff_id) const;
  /// Throws not_found.
  OpenLayer open(const Digest& diff_id) const;
  /// Of the owners of its entries. What was lost of their record is noted anew, from the layer's tar or from
  /// `blob`. Throws not_found.
  OwnerIds owners(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const;
  /// Makes what is mounted of the layer again where it is damaged: of its tar, or of `blob`.
  void mend(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const;
  /// As open(), of the layer as it is on layers that have `links`; empty when that has to be made first. One
  /// that is not mounted is read whole to see that it is good.
  std::optional<OpenLayer> find_landed(const Digest& diff_id, std::span<const LowerLink> links,
                                       const IsMounted& is_mounted) const;
  /// As find_landed(), and made when it is not there yet, where layers are unpacked from its `blob`.
  OpenLayer open_landed(const Digest& diff_id, std::span<const LowerLink> links, const Descriptor& blob,
                        const BlobStore& blobs, const IsMounted& is_mounted) const;
  /// `algorithm` is that of the diff_id it will be checked against.
  LayerWriter begin(DigestAlgorithm algorithm = DigestAlgorithm::sha256) const;
  /// Makes the layer from its blob when it is not there; both digests are verified on the way. One that an
  /// earlier boot of the machine may have left incomplete is checked first, and made again when it is.
  void ensure(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const;
  /// Makes the layer again from its own tar. False, and nothing is changed, where that is not what the
  /// diff_id says, or not there.
  bool recover(const Digest& diff_id) const;
  /// Whether the layer can do without a blob: it is here in the mounted form, with its exact tar, and is on
  /// disk when this returns. False where that cannot be said of it. Its tar is hashed: nothing else may be
  /// left soon to make the layer from.
  bool secure(const Digest& diff_id) const;
  /// Whether `blob` was seen to give the layer, as it was made or later. Nobody may pair a blob with a layer
  /// on the word of a manifest: it would run here as one thing and elsewhere as another.
  bool is_from(const Digest& diff_id, const Descriptor& blob) const;
  void note_blob(const Digest& diff_id, const Descriptor& blob) const;
  std::vector<Digest> list() const;
  void remove(const Digest& diff_id) const;
  void remove(const Digest& diff_id, Trash& trash) const;
  /// Found out at the first call. May be called by several threads.
  const FormChoice& form_of_new() const;
  const UnpackLimits& limits() const { return limits_; }

 private:
  friend class LayerWriter;
  void trust(const Digest& diff_id) const;
  bool is_trusted(const Digest& diff_id) const;
  FormChoice choose_form() const;
  /// Throws not_found.
  LayerForm require_layer(const Digest& diff_id) const;
  bool is_folder_of(const UniqueFd& dir, const Digest& diff_id) const;
  /// Calls `use` with the layer's folder, and again with the next when another writer replaces it meanwhile:
  /// what is replaced is removed, file by file.
  void in_folder(const Digest& diff_id, const std::function<void(const UniqueFd& dir)>& use) const;
  void make(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const;
  /// The files are in `dir`, a folder of `path` beneath layers/; the tar is in `layer`.
  OpenLayer open_files(const UniqueFd& dir, const std::string& path, const UniqueFd& layer) const;
  /// Makes `layer`/`name` with `write`, in the place of what is there.
  void put_landed(const UniqueFd& layer, const std::string& name,
                  const std::function<void(const UniqueFd& dir)>& write) const;

  const UniqueFd& root_;
  std::string root_path_;
  UniqueFd layers_;
  std::optional<LayerForm> wanted_;
  UnpackLimits limits_;
  mutable Lazy<FormChoice> form_;
  mutable std::mutex distrusting_;
  mutable std::set<Digest> distrusted_;
};

}  // namespace lay::layerstore
