#include "stored_tar.h"

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/pipeline.h"
#include "base/syscalls.h"
#include "layer_compressor.h"
#include "layer_stream.h"
#include "layerstore/media_types.h"
#include "new_image.h"

namespace lay::layerstore {

namespace {

/// The blob of an uncompressed layer is the tar of its mounted form: one file with two names.
StoredTar store_plain(const Store& store, LayerWriter layer, Progress::Task& task,
                      const std::function<void(ByteSink& tar)>& produce) {
  ApplyStats stats;
  run_pipeline(produce, [&](ByteSource& tar) {
    ProgressSource counted(tar, task);
    stats = layer.apply(counted);
  });
  const UniqueFd tar = layer.open_tar();
  store.blobs().adopt(tar, layer.diff_id());
  const Digest diff_id = layer.commit();
  return {.blob = Descriptor{.media_type = std::string(media_type::layer_type_of(Compression::none)),
                             .digest = diff_id,
                             .size = static_cast<std::uint64_t>(sys::stat_of(tar).st_size)},
          .diff_id = diff_id,
          .stats = std::move(stats)};
}

StoredTar store_compressed(const Store& store, const CompressOptions& options,
                           std::optional<LayerWriter> layer, Progress::Task& task,
                           const std::function<void(ByteSink& tar)>& produce) {
  BlobWriter blob = store.blobs().begin();
  std::map<std::string, std::string> annotations;
  AsyncSink compressing([&](ByteSource& tar) { annotations = compress_layer(tar, options, blob); });
  ProgressSink counted(compressing, task);
  StoredTar stored{
      .blob = Descriptor{.media_type = std::string(media_type::layer_type_of(options.compression)),
                         .digest = digest_of("")},
      .diff_id = digest_of("")};
  run_pipeline(produce, [&](ByteSource& tar) {
    TeeSource teed(tar, counted);
    if (layer) {
      stored.stats = layer->apply(teed);
      return;
    }
    HashingSource hashed(teed);
    drain(hashed);
    stored.diff_id = hashed.digest();
  });
  counted.finish();

  stored.blob.digest = blob.commit();
  stored.blob.size = blob.size();
  stored.blob.annotations = std::move(annotations);
  // The blob first: a layer can be made again from its blob, not the other way round.
  if (layer) stored.diff_id = layer->commit();
  return stored;
}

}  // namespace

StoredTar store_tar(const Store& store, const CompressOptions& options, TreeForm tree_form,
                    Progress& progress, const std::function<void(ByteSink& tar)>& produce) {
  const auto task = progress.begin("layer", 0);
  const bool is_mounted = store.layers().form_of_new().form == LayerForm::erofs;
  std::optional<LayerWriter> layer;
  if (is_mounted || tree_form == TreeForm::make) layer.emplace(store.layers().begin());
  StoredTar stored = is_mounted && options.compression == Compression::none
                         ? store_plain(store, std::move(*layer), *task, produce)
                         : store_compressed(store, options, std::move(layer), *task, produce);
  task->done("done");
  return stored;
}

}  // namespace lay::layerstore
