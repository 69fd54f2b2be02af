#include "layerstore/layer_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "codec/limited_source.h"
#include "diff/inode.h"
#include "erofs/erofs_mount.h"
#include "layers/exact_tar.h"
#include "layers/layer_folder.h"
#include "layers/layer_image.h"
#include "layers/layer_stream.h"
#include "layerstore/absent_blobs.h"
#include "layerstore/blob_store.h"
#include "layerstore/damage.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kPart = "layer";         // the folder's name while it is under ingest/
constexpr const char* kReplaced = "replaced";  // that of the one whose place it takes

UniqueFd open_part(const UniqueFd& dir, const std::string& name) {
  if (auto file = try_open_regular(dir, name)) return std::move(*file);
  throw Error::make(Errc::corrupt, "the layer has lost its '{}'", name)
      .with_hint("'lay fsck --repair' makes it again");
}

/// Whether a blob of the layer was left elsewhere: then its tar is all there is of it.
bool is_kept_as_tar(const UniqueFd& root, const Digest& diff_id) {
  const std::vector<AbsentBlob> absent = AbsentBlobs(root).list();
  const BlobStore blobs(root);
  return std::any_of(absent.begin(), absent.end(), [&](const AbsentBlob& one) {
    return one.diff_id == diff_id && !blobs.has(one.blob.digest);
  });
}

/// Whether it is there and whole. What is mounted was looked at before that.
bool is_landed(const UniqueFd& layer, const std::string& name, const IsMounted& is_mounted) {
  const auto dir = sys::try_open_at(layer, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir || !is_trustworthy(*dir)) return false;
  if (sys::try_stat_at(*dir, kLayerTree)) return true;
  const auto image = try_open_regular(*dir, kLayerImage);
  const auto tar = try_open_regular(layer, kLayerTar);
  return image && tar && (is_mounted(*image) || has_good_seal(*image, *tar, read_folders(*dir)));
}

UniqueFd make_part(const UniqueFd& ingest) {
  sys::mkdir_at(ingest, kPart, 0700);
  return sys::open_dir(ingest, kPart);
}

}  // namespace

LayerWriter::LayerWriter(const LayerStore& store, Ingest ingest, DigestAlgorithm algorithm, LayerForm form,
                         std::uint64_t most_entries)
    : store_(store),
      ingest_(std::move(ingest)),
      dir_(make_part(ingest_.dir())),
      algorithm_(algorithm),
      form_(form),
      most_entries_(most_entries) {}

ApplyStats LayerWriter::apply(ByteSource& tar) {
  ReservingSource kept(tar, dir_);
  HashingSource hashed(kept, algorithm_);
  ApplyStats stats = apply_unhashed(hashed, Durability::unsynced);
  diff_id_ = hashed.digest();
  return stats;
}

ApplyStats LayerWriter::apply_unhashed(ByteSource& tar, Durability durability) {
  ApplyStats stats = write_layer_folder(dir_, tar, form_, durability, {.most_entries = most_entries_});
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

bool LayerWriter::is_unpacked() const {
  return find_layer_form(ingest_.dir(), kPart) == LayerForm::tree;
}

void LayerWriter::settle() {
  if (is_settled_) return;
  is_settled_ = true;
  if (!is_unpacked()) return;
  sys::try_unlink_at(dir_, kLayerTar);
  // One sync for the whole tree: an fsync for each of its files would cost a journal commit each.
  with_context("write a layer", [&] { sys::syncfs(dir_); });
}

Digest LayerWriter::commit(const Digest& expected) {
  verify(expected);
  return commit();
}

Digest LayerWriter::commit() {
  if (!diff_id_) throw Error::make(Errc::invalid, "publish a layer: nothing was taken in");
  settle();
  const bool is_tree = is_unpacked();
  const UniqueFd& layers = store_.layers_;
  if (!sys::try_rename_noreplace(ingest_.dir(), kPart, layers, diff_id_->hex())) replace();
  if (is_tree) sys::fsync(layers);
  store_.trust(*diff_id_);
  return *diff_id_;
}

/// What is there may be damaged, and this one was hashed just now. A mount keeps the files that it began
/// with; a tree is a lower of running containers by its path, and stays unless it is known to be damaged.
void LayerWriter::replace() {
  const UniqueFd& layers = store_.layers_;
  const std::string name = diff_id_->hex();
  const auto form = find_layer_form(layers, name);
  std::optional<FileLock> alone;  // until the exchange is over
  if (form && store_.is_trusted(*diff_id_)) {
    if (form == LayerForm::tree) return;
    const bool is_tree = is_unpacked();
    const UniqueFd before = sys::open_dir(layers, name);
    copy_blob_notes(before, dir_);
    // It may be all there is of the layer, or become it just now: secure(). Who makes it anew has the lock.
    alone = FileLock::try_lock(sys::open_dir(before, "."), LockMode::exclusive);
    if (is_tree && is_kept_as_tar(store_.root_, *diff_id_)) return;
    if (!is_tree && (!alone || is_synced(before))) sync_layer_folder(dir_);
  }
  if (try_exchange(ingest_.dir(), kPart, layers, name)) return;
  // Nothing would be there for a moment, and what is there may be all there is.
  if (form == find_layer_form(ingest_.dir(), kPart) && store_.is_sound(*diff_id_))
    return copy_blob_notes(dir_, sys::open_dir(layers, name));
  sys::rename_at(layers, name, ingest_.dir(), kReplaced);
  sys::try_rename_noreplace(ingest_.dir(), kPart, layers, name);  // or somebody else was here in that moment
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
  return form_.get([&] { return choose_form(); });
}

bool LayerStore::has(const Digest& diff_id) const {
  return find_layer_form(layers_, diff_id.hex()).has_value() && is_trusted(diff_id);
}

void LayerStore::distrust(const Digest& diff_id) const {
  const std::scoped_lock lock(distrusting_);
  distrusted_.insert(diff_id);
}

void LayerStore::trust(const Digest& diff_id) const {
  const std::scoped_lock lock(distrusting_);
  distrusted_.erase(diff_id);
}

bool LayerStore::is_trusted(const Digest& diff_id) const {
  const std::scoped_lock lock(distrusting_);
  return !distrusted_.contains(diff_id);
}

OpenLayer LayerStore::open(const Digest& diff_id) const {
  require_layer(diff_id);
  OpenLayer layer;
  in_folder(diff_id, [&](const UniqueFd& dir) { layer = open_files(dir, diff_id.hex(), dir); });
  return layer;
}

LayerForm LayerStore::require_layer(const Digest& diff_id) const {
  const auto form = find_layer_form(layers_, diff_id.hex());
  if (!form) throw Error::make(Errc::not_found, "layer {} is not in the store", diff_id.to_string());
  return *form;
}

OpenLayer LayerStore::open_files(const UniqueFd& dir, const std::string& path, const UniqueFd& layer) const {
  OpenLayer opened{.form = find_layer_form(layers_, path).value_or(LayerForm::erofs),
                   .folders = read_folders(dir)};
  if (opened.form == LayerForm::tree) {
    opened.tree_path = fmt::format("{}/layers/{}/{}", root_path_, path, kLayerTree);
  } else {
    opened.image = open_part(dir, kLayerImage);
    opened.tar = open_part(layer, kLayerTar);
  }
  return opened;
}

std::optional<OpenLayer> LayerStore::find_landed(const Digest& diff_id, std::span<const LowerLink> links,
                                                 const IsMounted& is_mounted) const {
  require_layer(diff_id);
  const std::string name = landed_name(links);
  std::optional<OpenLayer> landed;
  in_folder(diff_id, [&](const UniqueFd& layer) {
    landed.reset();
    if (is_landed(layer, name, is_mounted))
      landed = open_files(sys::open_dir(layer, name), diff_id.hex() + "/" + name, layer);
  });
  return landed;
}

OpenLayer LayerStore::open_landed(const Digest& diff_id, std::span<const LowerLink> links,
                                  const Descriptor& blob, const BlobStore& blobs,
                                  const IsMounted& is_mounted) const {
  const LayerForm form = require_layer(diff_id);
  const std::string name = landed_name(links);
  OpenLayer landed;
  in_folder(diff_id, [&](const UniqueFd& layer) {
    // Of several that land it one makes it; the others find it, and nobody takes away what another uses.
    const FileLock alone = FileLock::lock(sys::open_dir(layer, "."), LockMode::exclusive);
    const auto write = [&](const UniqueFd& dir) {
      const auto take = [&](ByteSource& tar) { write_landed_folder(dir, tar, form, links); };
      if (form == LayerForm::tree) {
        with_stored_tar(blobs, blob, diff_id, take);
      } else {
        const UniqueFd file = open_part(layer, kLayerTar);
        FdSource tar(file);
        take(tar);
      }
    };
    if (!is_landed(layer, name, is_mounted)) put_landed(layer, name, write);
    landed = open_files(sys::open_dir(layer, name), diff_id.hex() + "/" + name, layer);
  });
  return landed;
}

void LayerStore::put_landed(const UniqueFd& layer, const std::string& name,
                            const std::function<void(const UniqueFd& dir)>& write) const {
  const Ingest making = Ingest::begin(root_);
  const UniqueFd part = make_part(making.dir());
  write(part);
  if (sys::try_stat_at(part, kLayerTree)) with_context("write a layer", [&] { sys::syncfs(part); });
  Trash(root_).take(layer, name);
  sys::try_rename_noreplace(making.dir(), kPart, layer, name);
}

OwnerIds LayerStore::owners(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
  const LayerForm form = require_layer(diff_id);
  std::optional<OwnerIds> ids;
  in_folder(diff_id, [&](const UniqueFd& dir) {
    ids = try_read_owners(dir);
    if (ids) return;
    const FileLock alone = FileLock::lock(sys::open_dir(dir, "."), LockMode::exclusive);
    const auto note = [&](const IndexedLayer& layer) { write_owners(dir, layer.stats.owners); };
    if (form == LayerForm::erofs)
      note(index_stored_tar(dir, diff_id));
    else
      with_stored_tar(blobs, blob, diff_id, [&](ByteSource& tar) { note(index_layer(tar)); });
    ids = try_read_owners(dir);
  });
  return ids.value();
}

bool LayerStore::is_sound(const Digest& diff_id) const {
  if (!is_trusted(diff_id)) return false;
  try {
    const OpenLayer layer = open(diff_id);
    return layer.form == LayerForm::tree || has_good_seal(layer.image, layer.tar, layer.folders);
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return false;
  }
}

void LayerStore::mend(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
  if (!is_sound(diff_id) && !recover(diff_id)) make(diff_id, blob, blobs);
}

LayerWriter LayerStore::begin(DigestAlgorithm algorithm) const {
  const LayerForm form = form_of_new().form;
  return LayerWriter(*this, Ingest::begin(root_), algorithm, form, limits_.most_entries);
}

namespace {

/// Empty when its tar is damaged.
std::optional<IndexedLayer> try_index(const UniqueFd& dir, const Digest& diff_id) {
  try {
    return index_stored_tar(dir, diff_id);
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return std::nullopt;
  }
}

bool try_recover(const UniqueFd& dir, const Digest& diff_id) {
  const auto indexed = try_index(dir, diff_id);
  if (indexed) rewrite_layer_folder(dir, *indexed);
  return indexed.has_value();
}

}  // namespace

void LayerStore::ensure(const Digest& diff_id, const Descriptor& blob, const BlobStore& blobs) const {
  while (is_trusted(diff_id)) {
    auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) break;
    if (has(diff_id) && is_trustworthy(*dir)) return;
    // After a reboot many may start at once: one makes it good, the others wait for that and look again.
    // Until it is done parts may be missing.
    const FileLock alone = FileLock::lock(std::move(*dir), LockMode::exclusive);
    if (!is_folder_of(alone.fd(), diff_id)) continue;
    if (has(diff_id) && is_trustworthy(alone.fd())) return;
    if (try_recover(alone.fd(), diff_id)) return;
    return make(diff_id, blob, blobs);  // what is there stays until another takes its place
  }
  make(diff_id, blob, blobs);
}

bool LayerStore::recover(const Digest& diff_id) const {
  auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return false;
  const FileLock alone = FileLock::lock(std::move(*dir), LockMode::exclusive);
  // An unpacked one may have its tar beside it, of which no image could be made.
  const bool is_recovered = is_folder_of(alone.fd(), diff_id) &&
                            find_layer_form(layers_, diff_id.hex()) != LayerForm::tree &&
                            try_recover(alone.fd(), diff_id);
  if (is_recovered) trust(diff_id);
  return is_recovered;
}

bool LayerStore::secure(const Digest& diff_id) const {
  auto dir = sys::try_open_at(layers_, diff_id.hex(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir || !is_trusted(diff_id) || find_layer_form(layers_, diff_id.hex()) != LayerForm::erofs)
    return false;
  const bool is_settled = is_synced(*dir) && is_sound(diff_id);
  if (is_settled) return has_exact_tar(*this, diff_id);
  const FileLock alone = FileLock::lock(std::move(*dir), LockMode::exclusive);
  if (!is_folder_of(alone.fd(), diff_id)) return secure(diff_id);  // another has taken its place
  if (!is_trustworthy(alone.fd()) || !is_sound(diff_id)) {
    if (!try_recover(alone.fd(), diff_id)) return false;
  } else {
    sync_layer_folder(alone.fd());
  }
  sys::fsync(layers_);
  return has_exact_tar(*this, diff_id);
}

/// Whether nobody has put another folder in its place.
bool LayerStore::is_folder_of(const UniqueFd& dir, const Digest& diff_id) const {
  const auto there = sys::try_stat_at(layers_, diff_id.hex());
  return there && is_same_file(*there, sys::stat_of(dir));
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
