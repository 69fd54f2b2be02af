#include "layerstore/fsck.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "chunked/layer_compressor.h"
#include "house/layer_check.h"
#include "house/reachable.h"
#include "images/recompressed_blobs.h"
#include "layers/layer_folder.h"
#include "layers/layer_stream.h"
#include "layerstore/damage.h"
#include "layerstore/media_types.h"
#include "layerstore/store_spill.h"

namespace lay::layerstore {

namespace {

/// What names need, as far as it can be read.
struct Needs {
  std::map<Digest, std::set<std::string>> blobs;
  std::map<Digest, std::set<std::string>> layers;
  std::map<Digest, Descriptor> blob_of_layer;  ///< by diff_id
  std::set<Digest> absent;                     ///< blobs that were left where they can be had,
  std::set<Digest> alone;                      ///< and their layers, by diff_id
};

std::vector<std::string> sorted(const std::set<std::string>& names) {
  return {names.begin(), names.end()};
}

/// Also of an image that cannot be read to the end: what was reached before is needed.
void note_blobs(const Store& store, const NamedImage& named, Needs& needs) {
  Reachable reachable;
  const auto note = [&] {
    for (const Digest& blob : reachable.blobs) needs.blobs[blob].insert(named.name);
  };
  try {
    mark_reachable(store.blobs(), named.manifest, reachable);
  } catch (const Error&) {
    note();
    throw;
  }
  note();
}

/// Whether the blob is not here because it can be had where the image came from.
bool is_left(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  return !store.blobs().has(blob.digest) && store.absent().has(blob, diff_id);
}

void note_needs(const Store& store, const NamedImage& named, Needs& needs) {
  note_blobs(store, named, needs);
  const Image image = store.load(named.manifest);
  for (std::size_t i = 0; i < image.config.diff_ids.size(); ++i) {
    needs.layers[image.config.diff_ids[i]].insert(named.name);
    needs.blob_of_layer.emplace(image.config.diff_ids[i], image.manifest.layers[i]);
  }
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& layer = image.manifest.layers[i];
    if (store.blobs().size(layer.digest) == layer.size) continue;
    if (!is_left(store, layer, image.config.diff_ids[i]))
      throw Error::make(Errc::not_found, "blob {} is missing or not of {} bytes", layer.digest.to_string(),
                        layer.size);
    needs.absent.insert(layer.digest);
    needs.alone.insert(image.config.diff_ids[i]);
  }
}

class Check {
 public:
  Check(const Store& store, Progress& progress) : store_(store), progress_(progress) {}

  FsckReport run() {
    check_names();
    check_lost_layers();
    for (const Digest& digest : store_.blobs().list()) check_blob(digest);
    for (const Digest& diff_id : store_.layers().list()) check_layer(diff_id);
    return std::move(report_);
  }

  const Needs& needs() const { return needs_; }

 private:
  void check_names() {
    for (const NamedImage& named : store_.images().list()) {
      ++report_.images;
      try {
        note_needs(store_, named, needs_);
      } catch (const Error& error) {
        if (!is_damage(error)) throw;
        report_.damages.push_back({DamagedPart::image, named.name, error.message(), {named.name}});
      }
    }
  }

  /// Without its blob a layer must be there.
  void check_lost_layers() {
    report_.absent = needs_.absent.size();
    for (const Digest& diff_id : needs_.alone)
      if (!store_.layers().has(diff_id))
        report_.damages.push_back({DamagedPart::layer, diff_id.to_string(),
                                   "it is lost, and its blob was left where it was pulled from",
                                   sorted(needs_.layers[diff_id])});
  }

  void check_blob(const Digest& digest) {
    ++report_.blobs;
    const auto task = progress_.begin("blob " + digest.short_hex(), store_.blobs().size(digest).value_or(0));
    try {
      const UniqueFd file = store_.blobs().open(digest);
      FdSource source(file);
      HashingSource hashed(source, digest.algorithm());
      drain(hashed);
      report_.bytes += hashed.size();
      task->advance(hashed.size());
      if (const Digest got = hashed.digest(); got != digest)
        throw Error::make(Errc::corrupt, "got {}, expected {}", got.to_string(), digest.to_string());
      task->done("good");
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      report_.damages.push_back(
          {DamagedPart::blob, digest.to_string(), error.message(), sorted(needs_.blobs[digest])});
    }
  }

  void check_layer(const Digest& diff_id) {
    ++report_.layers;
    const auto task = progress_.begin("layer " + diff_id.short_hex(), 0);
    try {
      report_.bytes += verify_layer(store_, diff_id, good_blob_of(diff_id));
      task->done("good");
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      // What a power cut left of a layer is no damage: it was never promised to be on disk, its blob was.
      if (is_unchecked(store_, diff_id)) return task->done("incomplete, made again before it is used");
      report_.damages.push_back(
          {DamagedPart::layer, diff_id.to_string(), error.message(), sorted(needs_.layers[diff_id])});
    }
  }

  /// Without it an unpacked layer has nothing to be compared with, and is not to be called damaged.
  std::optional<Descriptor> good_blob_of(const Digest& diff_id) const {
    const auto blob = needs_.blob_of_layer.find(diff_id);
    if (blob == needs_.blob_of_layer.end() || !store_.blobs().has(blob->second.digest)) return std::nullopt;
    const std::string name = blob->second.digest.to_string();
    const bool is_bad = std::ranges::any_of(report_.damages, [&](const Damage& damage) {
      return damage.part == DamagedPart::blob && damage.name == name;
    });
    return is_bad ? std::nullopt : std::optional(blob->second);
  }

  const Store& store_;
  Progress& progress_;
  Needs needs_;
  FsckReport report_;
};

/// Compresses the layer's tar again: with the same level that gives the same bytes.
void rebuild_blob(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  const OpenLayer layer = store.layers().open(diff_id);
  if (layer.form != LayerForm::erofs) return;
  BlobWriter writer = store.blobs().begin(blob.digest.algorithm());
  FdSource tar(layer.tar);
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const RecompressedBlobs remembered(root, store.blobs());
  const CompressOptions options{.compression = media_type::compression_of(blob.media_type),
                                .level = remembered.find_level(diff_id, blob).value_or(0)};
  compress_layer(tar, options, writer, spill_in(store));
  writer.commit(blob);
}

struct BlobOfLayer {
  const Descriptor& blob;
  const Digest& diff_id;
};

/// The exchange comes last and takes a moment only: what is slow was done before.
void replace_unpacked(const Store& store, const BlobOfLayer& pair, const Replacing& replacing) {
  LayerWriter layer = store.layers().begin(pair.diff_id.algorithm());
  with_stored_tar(store.blobs(), pair.blob, pair.diff_id, [&](ByteSource& tar) { layer.apply(tar); });
  layer.note_blob(pair.blob);
  layer.settle();
  replacing(pair.diff_id, [&] {
    store.layers().distrust(pair.diff_id);
    layer.commit(pair.diff_id);
  });
}

/// Makes each from the other. Nothing goes before what it is made from is known to be good.
void repair_layer(const Store& store, const BlobOfLayer& pair, const Replacing& replacing,
                  std::set<std::string>& bad_layers, std::set<std::string>& bad_blobs) {
  if (is_left(store, pair.blob, pair.diff_id)) return;
  const std::string blob = pair.blob.digest.to_string();
  const std::string layer = pair.diff_id.to_string();
  const bool is_blob_bad = bad_blobs.contains(blob) || !store.blobs().has(pair.blob.digest);
  if (is_blob_bad && !bad_layers.contains(layer) && store.layers().has(pair.diff_id)) {
    rebuild_blob(store, pair.blob, pair.diff_id);
    bad_blobs.erase(blob);
  }
  if (is_blob_bad || !bad_layers.contains(layer)) return;
  if (is_unpacked(store, pair.diff_id)) {
    replace_unpacked(store, pair, replacing);
  } else {
    store.layers().distrust(pair.diff_id);
    store.layers().ensure(pair.diff_id, pair.blob, store.blobs());
  }
  bad_layers.erase(layer);
}

/// Of a failure the next check tells what is still damaged, and why. What a layer is made from was good just
/// now.
void try_repair_layer(const Store& store, const BlobOfLayer& pair, const Replacing& replacing,
                      std::set<std::string>& bad_layers, std::set<std::string>& bad_blobs) {
  try {
    repair_layer(store, pair, replacing, bad_layers, bad_blobs);
  } catch (const Error& error) {
    if (!is_damage(error) || error.code() == Errc::io) throw;
  }
}

/// Empty where it cannot be read.
std::optional<Image> try_load(const Store& store, const NamedImage& named) {
  try {
    return store.load(named.manifest);
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return std::nullopt;
  }
}

}  // namespace

FsckReport check_store(const Store& store, Progress& progress) {
  return Check(store, progress).run();
}

bool is_unpacked(const Store& store, const Digest& diff_id) {
  const UniqueFd layers = sys::open_dir(sys::cwd(), store.path() + "/layers");
  return find_layer_form(layers, diff_id.hex()) == LayerForm::tree;
}

void repair_locally(const Store& store, const FsckReport& report, const Replacing& replacing) {
  std::set<std::string> bad_layers;
  std::set<std::string> bad_blobs;
  for (const Damage& damage : report.damages) {
    if (damage.part == DamagedPart::layer) bad_layers.insert(damage.name);
    if (damage.part == DamagedPart::blob) bad_blobs.insert(damage.name);
  }
  // A layer's own tar first: it may be all that is left.
  std::erase_if(bad_layers,
                [&](const std::string& name) { return store.layers().recover(Digest::parse(name)); });
  for (const NamedImage& named : store.images().list()) {
    const std::optional<Image> image = try_load(store, named);
    for (std::size_t i = 0; image && i < image->config.diff_ids.size(); ++i)
      try_repair_layer(store, {image->manifest.layers[i], image->config.diff_ids[i]}, replacing, bad_layers,
                       bad_blobs);
  }
  // What took the place of something damaged is not to be taken for it after a power cut.
  sys::syncfs(sys::open_dir(sys::cwd(), store.path()));
}

}  // namespace lay::layerstore
