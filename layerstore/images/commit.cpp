#include "layerstore/commit.h"

#include <utility>

#include "images/new_image.h"
#include "layers/stored_tar.h"
#include "layerstore/store_spill.h"

namespace lay::layerstore {

WrittenLayer write_layer(const Store& store, const UniqueFd& folder, TreeKind kind,
                         const CompressOptions& options, Progress& progress, const OpenLowers& lowers) {
  DiffStats stats;
  StoredTar stored = store_tar(store, options, TreeForm::leave, progress, [&](ByteSink& tar) {
    stats = write_diff(folder, kind, tar, lowers, spill_in(store));
  });
  return {.blob = std::move(stored.blob), .diff_id = std::move(stored.diff_id), .stats = stats};
}

void tell_lost_index(const DiffStats& stats, const std::function<void(const std::string&)>& warn) {
  if (!stats.lacks_index || !warn) return;
  warn(
      "the upper is of an overlay with index=on, whose work folder is not beside it: hard-linked files that "
      "were "
      "changed, and then removed by one of their names, may be missing; put the work folder beside the "
      "upper, or "
      "mount with index=off");
}

Image commit_upper(const Store& store, const UniqueFd& upper, const std::string& name,
                   const CommitRequest& request, Progress& progress) {
  const FileLock writing = store.begin_adding();
  const WrittenLayer layer =
      write_layer(store, upper, request.kind, request.compression, progress, request.lowers);
  tell_lost_index(layer.stats, request.warn);
  return publish_image(store, name, request, layer, progress);
}

}  // namespace lay::layerstore
