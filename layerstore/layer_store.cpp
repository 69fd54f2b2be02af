#include "layerstore/layer_store.h"

#include <utility>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "layer_stream.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kPart = "layer";  // the folder's name while it is under ingest/
/// The lower itself is a folder of its own: it carries the mode that the image gives its "/", while the
/// folder around it stays 0700, so that nobody reaches a set-user-id file of an image through the store.
constexpr const char* kTree = "tree";

std::string tree_of(const Digest& diff_id) {
  return diff_id.hex() + "/" + kTree;
}

}  // namespace

LayerWriter::LayerWriter(const UniqueFd& layers, Ingest ingest, DigestAlgorithm algorithm)
    : layers_(layers), ingest_(std::move(ingest)), algorithm_(algorithm) {
  sys::mkdir_at(ingest_.dir(), kPart, 0700);
  sys::mkdir_at(ingest_.dir(), std::string(kPart) + "/" + kTree, 0700);
}

ApplyStats LayerWriter::apply(ByteSource& tar) {
  HashingSource hashed(tar, algorithm_);
  const UniqueFd tree = sys::open_dir(ingest_.dir(), std::string(kPart) + "/" + kTree);
  const ApplyStats stats = apply_layer(hashed, tree);
  drain(hashed);  // what follows the end of the archive belongs to the diff_id too
  diff_id_ = hashed.digest();
  return stats;
}

void LayerWriter::verify(const Digest& expected) const {
  if (diff_id_ != expected)
    throw Error::make(Errc::corrupt, "layer: got diff_id {}, expected {}",
                      diff_id_ ? diff_id_->to_string() : "of nothing", expected.to_string());
}

Digest LayerWriter::commit(const Digest& expected) {
  verify(expected);
  return commit();
}

Digest LayerWriter::commit() {
  if (!diff_id_) throw Error::make(Errc::invalid, "publish a layer: nothing was unpacked");
  // One sync for the whole tree: an fsync for each of its files would cost a journal commit each.
  with_context("write a layer", [&] { sys::syncfs(ingest_.dir()); });
  if (!sys::try_rename_noreplace(ingest_.dir(), kPart, layers_, diff_id_->hex()) &&
      !sys::try_stat_at(layers_, tree_of(*diff_id_)))
    throw Error::make(Errc::corrupt, "'layers/{}' in the store is no layer", diff_id_->hex())
        .with_hint("remove that folder and try again");
  sys::fsync(layers_);
  return *diff_id_;
}

LayerStore::LayerStore(const UniqueFd& root, std::string root_path)
    : root_(root), root_path_(std::move(root_path)), layers_(sys::open_dir(root, "layers")) {}

bool LayerStore::has(const Digest& diff_id) const {
  const auto info = sys::try_stat_at(layers_, tree_of(diff_id));
  return info && S_ISDIR(info->st_mode);
}

std::string LayerStore::path(const Digest& diff_id) const {
  if (!has(diff_id)) throw Error::make(Errc::not_found, "layer {} is not unpacked", diff_id.to_string());
  return root_path_ + "/layers/" + tree_of(diff_id);
}

LayerWriter LayerStore::begin(DigestAlgorithm algorithm) const {
  return LayerWriter(layers_, Ingest::begin(root_), algorithm);
}

void LayerStore::ensure(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
  if (has(diff_id)) return;
  with_context(fmt::format("layer {}", blob.digest.to_string()), [&] {
    const UniqueFd file = blobs.open(blob.digest);
    FdSource bytes(file);
    HashingSource stored(bytes, blob.digest.algorithm());
    const auto verify_blob = [&] {
      const std::uint64_t size = stored.size();
      const Digest got = stored.digest();
      if (got != blob.digest || size != blob.size)
        throw Error::make(Errc::corrupt,
                          "'{}/blobs/{}/{}' is damaged: got {} ({} bytes), expected {} ({} bytes)",
                          root_path_, blob.digest.algorithm_name(), blob.digest.hex(), got.to_string(), size,
                          blob.digest.to_string(), blob.size)
            .with_hint("remove that file and pull the image again");
    };
    LayerWriter layer = begin(diff_id.algorithm());
    unpack_verified(stored, blob, diff_id, layer, verify_blob);
    layer.commit(diff_id);
  });
}

std::vector<Digest> LayerStore::list() const {
  std::vector<Digest> result;
  for (const std::string& name : list_names(layers_)) {
    const char* algorithm = name.size() == 128 ? "sha512:" : "sha256:";
    if (auto diff_id = Digest::try_parse(algorithm + name)) result.push_back(*diff_id);
  }
  return result;
}

void LayerStore::remove(const Digest& diff_id) const {
  // Out of sight at once and as a whole; a removal that is killed half-way is swept.
  const Ingest trash = Ingest::begin(root_);
  if (!sys::try_stat_at(layers_, diff_id.hex())) return;
  with_context(fmt::format("remove layer {}", diff_id.to_string()), [&] {
    sys::rename_at(layers_, diff_id.hex(), trash.dir(), kPart);
    remove_tree(trash.dir(), kPart);
  });
}

}  // namespace lay::layerstore
