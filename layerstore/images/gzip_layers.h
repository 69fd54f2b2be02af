#pragma once

#include <vector>

#include "base/progress.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// The layers of `image` for manifests that know no zstd: those in zstd are compressed anew by gzip and
/// stored durably, unless an image of the store has them so already; the others stay as they are, in the
/// order of the image. The diff_ids are the same. The caller holds Store::share().
std::vector<Descriptor> without_zstd(const Store& store, const Image& image, Progress& progress);

}  // namespace lay::layerstore
