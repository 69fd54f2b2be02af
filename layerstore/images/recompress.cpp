#include "layerstore/recompress.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/lazy.h"
#include "base/syscalls.h"
#include "chunked/chunked_toc.h"
#include "chunked/layer_compressor.h"
#include "codec/codec_gzip.h"
#include "codec/codec_zstd.h"
#include "images/new_image.h"
#include "images/recompressed_blobs.h"
#include "layers/layer_tar.h"
#include "layerstore/layer_pair.h"
#include "layerstore/media_types.h"
#include "layerstore/store_spill.h"
#include "receive/known_blobs.h"

namespace lay::layerstore {

namespace {

bool is_chunked(const Descriptor& blob) {
  for (const auto& [key, value] : blob.annotations)
    if (is_of_chunked(key)) return true;
  return false;
}

class Recompressing {
 public:
  Recompressing(const Store& store, const Recompression& how, Progress& progress)
      : store_(store),
        how_(how),
        progress_(progress),
        root_(sys::open_dir(sys::cwd(), store.path())),
        remembered_(root_, store.blobs()) {}

  Descriptor layer(const Descriptor& blob, const Digest& diff_id) {
    if (media_type::is_foreign(blob.media_type)) return blob;
    if (how_.only && media_type::compression_of(blob.media_type) != *how_.only) return blob;
    if (!how_.always && fits(blob)) return blob;
    return with_context(fmt::format("layer {}", diff_id.to_string()), [&] {
      if (auto found = find(diff_id)) return with_annotations_of(blob, *std::move(found));
      return with_annotations_of(blob, compress(blob, diff_id));
    });
  }

 private:
  bool fits(const Descriptor& blob) const {
    return media_type::compression_of(blob.media_type) == how_.options.compression &&
           (!how_.needs_chunks || is_chunked(blob));
  }

  /// A blob that is here already.
  std::optional<Descriptor> find(const Digest& diff_id) {
    if (auto remembered = remembered_.find(diff_id, how_.options)) {
      if (store_.blobs().is_whole(*remembered)) return remembered;
    }
    if (how_.always) return std::nullopt;
    if (!known_) known_.emplace(store_);
    return known_->find(diff_id, [&](const Descriptor& blob) { return fits(blob); });
  }

  Descriptor compress(const Descriptor& blob, const Digest& diff_id) const {
    const LayerTar layer(store_, blob, diff_id);
    const auto task = progress_.begin(fmt::format("compress {}", diff_id.short_hex()), 0);
    BlobWriter writer = store_.blobs().begin();
    CompressedLayer compressed{.annotations = {}, .diff_id = diff_id};
    layer.read([&](ByteSource& tar) {
      ProgressSource counted(tar, *task);
      compressed = compress_beside(counted, how_.options, writer, spill_in(store_));
    });
    Descriptor made{.media_type = std::string(media_type::layer_type_of(how_.options.compression)),
                    .digest = writer.digest(),
                    .size = writer.size(),
                    .annotations = std::move(compressed.annotations)};
    writer.commit();
    if (store_.layers().has(diff_id)) store_.layers().note_blob(diff_id, made);
    remembered_.note(diff_id, how_.options, made);
    task->done("compressed");
    return made;
  }

  /// What the manifest says of the layer for others stays; where the files lie in the blob does not.
  static Descriptor with_annotations_of(const Descriptor& before, Descriptor blob) {
    for (const auto& [key, value] : before.annotations)
      if (!is_of_chunked(key)) blob.annotations.emplace(key, value);
    return blob;
  }

  const Store& store_;
  const Recompression& how_;
  Progress& progress_;
  const UniqueFd root_;
  const RecompressedBlobs remembered_;
  std::optional<KnownBlobs> known_;
};

}  // namespace

int highest_level(Compression compression) {
  return compression == Compression::gzip ? kMaxGzipLevel : kMaxZstdLevel;
}

std::vector<Descriptor> recompress_layers(const Store& store, const Image& image, const Recompression& how,
                                          Progress& progress) {
  Recompressing recompressing(store, how, progress);
  std::vector<Descriptor> layers = image.manifest.layers;
  for (std::size_t i = 0; i < layers.size(); ++i)
    layers[i] = recompressing.layer(layers[i], image.config.diff_ids.at(i));
  return layers;
}

Image recompress(const Store& store, const Image& image, const Recompression& how, Progress& progress) {
  Image made = image;
  made.manifest.layers = recompress_layers(store, image, how, progress);
  if (made.manifest.layers == image.manifest.layers) return image;
  made.manifest = with_oci_types(std::move(made.manifest));
  made.descriptor = store.blobs().put(write_manifest(made.manifest), made.manifest.media_type);
  return made;
}

}  // namespace lay::layerstore
