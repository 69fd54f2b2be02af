#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "codec/limited_source.h"
#include "images/new_image.h"
#include "layers/layer_stream.h"
#include "layers/stored_tar.h"
#include "layerstore/commit.h"
#include "tar/foreign_archive.h"
#include "tar/layer_records.h"

namespace lay::layerstore {

namespace {

/// Enough for every magic number, the tar's own at byte 257 included.
constexpr std::size_t kMagicBytes = 512;

WrittenLayer write_tar_layer(const Store& store, ByteSource& source, const CompressOptions& options,
                             Progress& progress) {
  std::uint64_t bytes = 0;
  StoredTar stored = store_tar(store, options, TreeForm::make, progress, [&](ByteSink& tar) {
    CountingSource counted(source);
    PeekSource peeked(counted, kMagicBytes);
    if (is_foreign_archive(peeked.start())) {
      bytes = rewrite_foreign_archive(peeked, tar);
      return;
    }
    const auto plain = make_decompressor(detect_compression(peeked.start()), peeked);
    LimitedSource limited(*plain, store.layers().limits(), [&] { return counted.count(); });
    bytes = copy_as_layer(limited, tar);
  });
  return {.blob = std::move(stored.blob),
          .diff_id = std::move(stored.diff_id),
          .stats = {.entries = stored.stats.entries, .bytes = bytes, .newest = stored.stats.newest}};
}

void tell_mount_points(const DiffStats& stats, const CommitRequest& request) {
  if (stats.mount_points.empty() || !request.warn) return;
  const std::string more =
      stats.more_mount_points == 0 ? "" : fmt::format(" and {} more", stats.more_mount_points);
  request.warn(fmt::format(
      "what is mounted at {}{} is left out: 'tar -C FOLDER --xattrs --xattrs-include=\"*\" --acls "
      "--numeric-owner -c . | lay import - NAME' takes it in",
      printable(join(stats.mount_points, ", ")), more));
}

}  // namespace

Image import_folder(const Store& store, const UniqueFd& folder, const std::string& name,
                    const CommitRequest& request, Progress& progress) {
  const FileLock writing = store.begin_adding();
  const WrittenLayer layer = write_layer(store, folder, TreeKind::plain, request.compression, progress);
  tell_mount_points(layer.stats, request);
  return publish_image(store, name, request, layer, progress);
}

Image import_tar(const Store& store, ByteSource& tar, const std::string& name, const CommitRequest& request,
                 Progress& progress) {
  const FileLock writing = store.begin_adding();
  const WrittenLayer layer = write_tar_layer(store, tar, request.compression, progress);
  return publish_image(store, name, request, layer, progress);
}

}  // namespace lay::layerstore
