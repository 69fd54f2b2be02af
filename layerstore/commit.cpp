#include "layerstore/commit.h"

#include "base/error.h"
#include "base/pipeline.h"
#include "layerstore/media_types.h"
#include "new_image.h"

namespace lay::layerstore {

WrittenLayer write_layer(const Store& store, const UniqueFd& folder, TreeKind kind,
                         const CompressOptions& options, Progress& progress) {
  const auto task = progress.begin("layer", 0);
  BlobWriter blob = store.blobs().begin();
  const auto compressor = make_compressor(options, blob);
  // Two threads: this one reads the files and hashes the tar, the other
  // compresses, hashes and writes the blob.
  AsyncSink overlapped(*compressor);
  ProgressSink counted(overlapped, *task);
  HashingSink tar(counted);
  const DiffStats stats = write_diff(folder, kind, tar);
  tar.finish();

  const Digest digest = blob.commit();
  task->done("done");
  return {.blob = {.media_type = std::string(media_type::layer_type_of(options.compression)),
                   .digest = digest,
                   .size = blob.size()},
          .diff_id = tar.digest(),
          .stats = stats};
}

Image commit_upper(const Store& store, const UniqueFd& upper, const std::string& name,
                   const CommitRequest& request, Progress& progress) {
  const FileLock writing = store.share();
  const WrittenLayer layer = write_layer(store, upper, TreeKind::upper, request.compression, progress);
  return publish_image(store, name, request, layer);
}

}  // namespace lay::layerstore
