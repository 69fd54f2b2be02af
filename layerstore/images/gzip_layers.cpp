#include "images/gzip_layers.h"

#include <optional>

#include "base/error.h"
#include "chunked/layer_compressor.h"
#include "images/new_image.h"
#include "layers/layer_tar.h"
#include "layerstore/media_types.h"
#include "layerstore/store_spill.h"
#include "receive/known_blobs.h"

namespace lay::layerstore {

namespace {

Descriptor compress_anew(const Store& store, const Descriptor& blob, const Digest& diff_id,
                         Progress& progress) {
  const CompressOptions options{.compression = Compression::gzip};
  const auto task = progress.begin("layer " + diff_id.short_hex(), 0);
  BlobWriter writer = store.blobs().begin();
  LayerTar(store, blob, diff_id).read([&](ByteSource& tar) {
    ProgressSource counted(tar, *task);
    compress_layer(counted, options, writer, spill_in(store));
  });
  writer.commit();
  Descriptor gzip{
      .media_type = std::string(media_type::kLayerGzip), .digest = writer.digest(), .size = writer.size()};
  if (store.layers().has(diff_id)) store.layers().note_blob(diff_id, gzip);
  task->done("compressed by gzip");
  return gzip;
}

}  // namespace

std::vector<Descriptor> without_zstd(const Store& store, const Image& image, Progress& progress) {
  std::vector<Descriptor> layers = image.manifest.layers;
  std::optional<KnownBlobs> known;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (media_type::compression_of(layers[i].media_type) != Compression::zstd) continue;
    if (!known) known.emplace(store, Compression::gzip);
    const Digest& diff_id = image.config.diff_ids[i];
    layers[i] = with_context(fmt::format("layer {}", layers[i].digest.to_string()), [&] {
      const auto stored = known->find(diff_id);
      return stored ? *stored : compress_anew(store, layers[i], diff_id, progress);
    });
  }
  return layers;
}

}  // namespace lay::layerstore
