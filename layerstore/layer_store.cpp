#include "layerstore/layer_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "erofs_mount.h"
#include "layer_folder.h"
#include "layer_stream.h"
#include "limited_source.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kPart = "layer";  // the folder's name while it is under ingest/

UniqueFd open_part(const UniqueFd& dir, const std::string& name) {
  if (auto file = try_open_regular(dir, name)) return std::move(*file);
  throw Error::make(Errc::corrupt, "the layer has lost its '{}'", name)
      .with_hint("'lay fsck --repair' makes it again");
}

/// Puts the folder `name` of `from` in the place of one in `to`, which comes here instead. A file system that
/// cannot do that keeps the one that it has.
void try_exchange(const UniqueFd& from, const std::string& name, const UniqueFd& to,
                  const std::string& there) {
  if (::renameat2(from.get(), name.c_str(), to.get(), there.c_str(), RENAME_EXCHANGE) < 0 && errno != EINVAL)
    throw Error::from_errno("replace '{}'", there);
}

UniqueFd make_part(const UniqueFd& ingest) {
  sys::mkdir_at(ingest, kPart, 0700);
  return sys::open_dir(ingest, kPart);
}

}  // namespace

LayerWriter::LayerWriter(const UniqueFd& layers, Ingest ingest, DigestAlgorithm algorithm, LayerForm form)
    : layers_(layers),
      ingest_(std::move(ingest)),
      dir_(make_part(ingest_.dir())),
      algorithm_(algorithm),
      form_(form) {}

ApplyStats LayerWriter::apply(ByteSource& tar) {
  ReservingSource kept(tar, dir_);
  HashingSource hashed(kept, algorithm_);
  ApplyStats stats = apply_unhashed(hashed, Durability::unsynced);
  diff_id_ = hashed.digest();
  return stats;
}

ApplyStats LayerWriter::apply_unhashed(ByteSource& tar, Durability durability) {
  ApplyStats stats = write_layer_folder(dir_, tar, form_, durability);
  drain(tar);  // what follows the end of the archive belongs to the diff_id too
  return stats;
}

UniqueFd LayerWriter::open_tar() const {
  return sys::open_at(dir_, kLayerTar, O_RDONLY | O_NOFOLLOW);
}

void LayerWriter::note_blob(const Descriptor& blob) {
  layerstore::note_blob(dir_, blob);
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
  if (!diff_id_) throw Error::make(Errc::invalid, "publish a layer: nothing was taken in");
  const bool is_tree = find_layer_form(ingest_.dir(), kPart) == LayerForm::tree;
  // One sync for the whole tree: an fsync for each of its files would cost a journal commit each.
  if (is_tree) {
    sys::try_unlink_at(dir_, kLayerTar);
    with_context("write a layer", [&] { sys::syncfs(dir_); });
  }
  if (!sys::try_rename_noreplace(ingest_.dir(), kPart, layers_, diff_id_->hex())) {
    const auto there = find_layer_form(layers_, diff_id_->hex());
    if (!there)
      throw Error::make(Errc::corrupt, "'layers/{}' in the store is no layer", diff_id_->hex())
          .with_hint("remove that folder and try again");
    // What is there may be damaged, and this one was hashed just now. A mount keeps the files that it began
    // with; a tree is a lower of running containers by its path, and stays.
    if (*there == LayerForm::erofs) {
      copy_blob_notes(sys::open_dir(layers_, diff_id_->hex()), dir_);
      try_exchange(ingest_.dir(), kPart, layers_, diff_id_->hex());
    }
  }
  if (is_tree) sys::fsync(layers_);
  return *diff_id_;
}

LayerStore::LayerStore(const UniqueFd& root, std::string root_path, std::optional<LayerForm> form,
                       UnpackLimits limits)
    : root_(root),
      root_path_(std::move(root_path)),
      layers_(sys::open_dir(root, "layers")),
      wanted_(form),
      limits_(limits) {}

FormChoice LayerStore::choose_form() const {
  if (wanted_) return {*wanted_, "as asked for"};
  const Ingest probing = Ingest::begin(root_);
  if (auto reason = why_not_mountable(probing.dir())) return {LayerForm::tree, std::move(*reason)};
  return {LayerForm::erofs, "this kernel mounts them, and so does the file system"};
}

const FormChoice& LayerStore::form_of_new() const {
  std::call_once(chosen_, [&] { choice_ = choose_form(); });
  return choice_;
}

bool LayerStore::has(const Digest& diff_id) const {
  return find_layer_form(layers_, diff_id.hex()).has_value();
}

OpenLayer LayerStore::open(const Digest& diff_id) const {
  const auto form = find_layer_form(layers_, diff_id.hex());
  if (!form) throw Error::make(Errc::not_found, "layer {} is not in the store", diff_id.to_string());
  OpenLayer layer;
  in_folder(diff_id, [&](const UniqueFd& dir) {
    layer = {.form = *form, .implied = read_implied(dir)};
    if (*form == LayerForm::tree) {
      layer.tree_path = fmt::format("{}/layers/{}/{}", root_path_, diff_id.hex(), kLayerTree);
    } else {
      layer.image = open_part(dir, kLayerImage);
      layer.tar = open_part(dir, kLayerTar);
    }
  });
  return layer;
}

LayerWriter LayerStore::begin(DigestAlgorithm algorithm) const {
  const LayerForm form = form_of_new().form;
  return LayerWriter(layers_, Ingest::begin(root_), algorithm, form);
}

namespace {

/// False when its tar is not what it should be.
bool try_recover(const UniqueFd& dir, const Digest& diff_id) {
  try {
    recover_layer_folder(dir, diff_id);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt && error.code() != Errc::invalid) throw;
    return false;
  }
}

}  // namespace

void LayerStore::ensure(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
  while (auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) {
    if (has(diff_id) && is_trustworthy(*dir)) return;
    // After a reboot many may start at once: one makes it good, the others wait for that and look again.
    // Until it is done parts may be missing.
    const FileLock alone = FileLock::lock(std::move(*dir), LockMode::exclusive);
    if (!is_folder_of(alone.fd(), diff_id)) continue;
    if (has(diff_id) && is_trustworthy(alone.fd())) return;
    if (try_recover(alone.fd(), diff_id)) return;
    remove(diff_id);
  }
  make(diff_id, blob, blobs);
}

bool LayerStore::recover(const Digest& diff_id) const {
  auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return false;
  const FileLock alone = FileLock::lock(std::move(*dir), LockMode::exclusive);
  // An unpacked one may have its tar beside it, of which no image could be made.
  return is_folder_of(alone.fd(), diff_id) && find_layer_form(layers_, diff_id.hex()) != LayerForm::tree &&
         try_recover(alone.fd(), diff_id);
}

/// Whether nobody has put another folder in its place.
bool LayerStore::is_folder_of(const UniqueFd& dir, const Digest& diff_id) const {
  const auto there = sys::try_stat_at(layers_, diff_id.hex());
  const struct ::stat here = sys::stat_of(dir);
  return there && there->st_dev == here.st_dev && there->st_ino == here.st_ino;
}

void LayerStore::in_folder(const Digest& diff_id, const std::function<void(const UniqueFd& dir)>& use) const {
  while (true) {
    const UniqueFd dir = sys::open_dir(layers_, diff_id.hex());
    try {
      use(dir);
      if (is_folder_of(dir, diff_id)) return;
    } catch (const Error&) {
      if (is_folder_of(dir, diff_id) || !has(diff_id)) throw;
    }
  }
}

void LayerStore::make(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
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
            .with_hint("pull the image again, which mends it");
    };
    LayerWriter layer = begin(diff_id.algorithm());
    unpack_verified(stored, blob, diff_id, limits_, layer, verify_blob);
    layer.note_blob(blob);
    layer.commit(diff_id);
  });
}

bool LayerStore::is_from(const Digest& diff_id, const Descriptor& blob) const {
  const auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return dir && has_blob_note(*dir, blob);
}

void LayerStore::note_blob(const Digest& diff_id, const Descriptor& blob) const {
  in_folder(diff_id, [&](const UniqueFd& dir) { layerstore::note_blob(dir, blob); });
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
  Trash trash(root_);
  remove(diff_id, trash);
}

void LayerStore::remove(const Digest& diff_id, Trash& trash) const {
  with_context(fmt::format("remove layer {}", diff_id.to_string()),
               [&] { trash.take(layers_, diff_id.hex()); });
}

}  // namespace lay::layerstore
