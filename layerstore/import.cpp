#include "base/error.h"
#include "base/pipeline.h"
#include "foreign_archive.h"
#include "layer_stream.h"
#include "layerstore/commit.h"
#include "layerstore/media_types.h"
#include "new_image.h"

namespace lay::layerstore {

namespace {

/// Enough for every magic number, the tar's own at byte 257 included.
constexpr std::size_t kMagicBytes = 512;

/// The tar is unpacked while it is compressed into a blob: one reading, three threads (decompress, hash and
/// unpack, compress).
WrittenLayer write_tar_layer(const Store& store, ByteSource& source, const CompressOptions& options,
                             Progress& progress) {
  const auto task = progress.begin("layer", 0);
  BlobWriter blob = store.blobs().begin();
  LayerWriter layer = store.layers().begin();
  const auto compressor = make_compressor(options, blob);
  AsyncSink overlapped(*compressor);
  ProgressSink counted(overlapped, *task);
  WrittenLayer written{.blob = {.media_type = std::string(media_type::layer_type_of(options.compression)),
                                .digest = digest_of("")},
                       .diff_id = digest_of("")};

  const auto decompress = [&](ByteSink& tar) {
    PeekSource peeked(source, kMagicBytes);
    if (is_foreign_archive(peeked.start())) {
      written.stats.bytes = rewrite_foreign_archive(peeked, tar);
      return;
    }
    const auto plain = make_decompressor(detect_compression(peeked.start()), peeked);
    written.stats.bytes = pump(*plain, tar);
  };
  run_pipeline(decompress, [&](ByteSource& tar) {
    TeeSource teed(tar, counted);
    const ApplyStats applied = layer.apply(teed);
    written.stats.entries = applied.entries;
    written.stats.newest = applied.newest;
  });
  counted.finish();

  written.blob.digest = blob.commit();
  written.blob.size = blob.size();
  written.diff_id = layer.commit();
  task->done("done");
  return written;
}

}  // namespace

Image import_folder(const Store& store, const UniqueFd& folder, const std::string& name,
                    const CommitRequest& request, Progress& progress) {
  const FileLock writing = store.share();
  const WrittenLayer layer = write_layer(store, folder, TreeKind::plain, request.compression, progress);
  return publish_image(store, name, request, layer);
}

Image import_tar(const Store& store, ByteSource& tar, const std::string& name, const CommitRequest& request,
                 Progress& progress) {
  const FileLock writing = store.share();
  const WrittenLayer layer = write_tar_layer(store, tar, request.compression, progress);
  return publish_image(store, name, request, layer);
}

}  // namespace lay::layerstore
