#include "layers/stored_tar.h"

#include <array>
#include <exception>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/pipeline.h"
#include "base/syscalls.h"
#include "chunked/layer_compressor.h"
#include "images/new_image.h"
#include "images/recompressed_blobs.h"
#include "layers/layer_stream.h"
#include "layerstore/media_types.h"
#include "layerstore/store_spill.h"

namespace lay::layerstore {

namespace {

/// One of those that read the tar.
using Consumer = std::function<void(ByteSource& tar)>;

Digest hash(ByteSource& tar) {
  HashingSource hashed(tar);
  drain(hashed);
  return hashed.digest();
}

/// The blob of an uncompressed layer is the tar of its mounted form: one file with two names.
StoredTar store_plain(const Store& store, LayerWriter layer, Progress::Task& task,
                      const std::function<void(ByteSink& tar)>& produce) {
  ApplyStats stats;
  const std::array<Consumer, 2> consumers{[&](ByteSource& tar) {
                                            ProgressSource counted(tar, task);
                                            stats = layer.apply_unhashed(counted, Durability::synced);
                                          },
                                          [&](ByteSource& tar) { layer.set_diff_id(hash(tar)); }};
  run_pipeline(produce, consumers);
  const UniqueFd tar = layer.open_tar();
  store.blobs().adopt(tar, layer.diff_id());
  Descriptor blob{.media_type = std::string(media_type::layer_type_of(Compression::none)),
                  .digest = layer.diff_id(),
                  .size = static_cast<std::uint64_t>(sys::stat_of(tar).st_size)};
  layer.note_blob(blob);
  const Digest diff_id = layer.commit();
  return {.blob = std::move(blob), .diff_id = diff_id, .stats = std::move(stats)};
}

/// So that fsck can make the blob again.
void note_level(const Store& store, const CompressOptions& options, const StoredTar& stored) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  RecompressedBlobs(root, store.blobs()).note(stored.diff_id, options, stored.blob);
}

bool makes_layer(const Store& store, TreeForm tree_form) {
  return tree_form == TreeForm::make || store.layers().form_of_new().form == LayerForm::erofs;
}

}  // namespace

StagedTar::StagedTar(BlobWriter blob, std::optional<LayerWriter> layer, StoredTar tar)
    : blob_(std::move(blob)), layer_(std::move(layer)), tar_(std::move(tar)) {}

void StagedTar::commit() {
  // The blob first: a layer can be made again from its blob, not the other way round.
  blob_.commit();
  if (!layer_) return;
  layer_->note_blob(tar_.blob);
  layer_->commit();
}

StagedTar stage_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                    Progress::Task& task, const std::function<void(ByteSink& tar)>& produce) {
  std::optional<LayerWriter> layer;
  if (makes_layer(store, tree_form)) layer.emplace(store.layers().begin());
  BlobWriter blob = store.blobs().begin();
  std::optional<CompressedLayer> compressed;
  ApplyStats stats;
  std::exception_ptr broken;
  std::vector<Consumer> consumers{[&](ByteSource& tar) {
    ProgressSource counted(tar, task);
    try {
      compressed = compress_beside(counted, options, blob, spill_in(store));
    } catch (const Error& error) {
      if (!layer || error.code() != Errc::invalid) throw;
      broken = std::current_exception();  // the layer's reader says in which entry
    }
  }};
  if (layer)
    consumers.emplace_back(
        [&](ByteSource& tar) { stats = layer->apply_unhashed(tar, Durability::unsynced); });
  run_pipeline(produce, consumers);
  if (broken) std::rethrow_exception(broken);
  if (layer) layer->set_diff_id(compressed->diff_id);
  StoredTar stored{
      .blob = Descriptor{.media_type = std::string(media_type::layer_type_of(options.compression)),
                         .digest = blob.digest(),
                         .size = blob.size(),
                         .annotations = std::move(compressed->annotations)},
      .diff_id = std::move(compressed->diff_id),
      .stats = std::move(stats)};
  return StagedTar(std::move(blob), std::move(layer), std::move(stored));
}

StoredTar store_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                    Progress& progress, const std::function<void(ByteSink& tar)>& produce) {
  const auto task = progress.begin("layer", 0);
  StoredTar stored = [&] {
    if (options.compression == Compression::none && store.layers().form_of_new().form == LayerForm::erofs)
      return store_plain(store, store.layers().begin(), *task, produce);
    StagedTar staged = stage_tar(store, options, tree_form, *task, produce);
    staged.commit();
    return staged.tar();
  }();
  if (options.level != 0) note_level(store, options, stored);
  task->done("done");
  return stored;
}

}  // namespace lay::layerstore
