#pragma once

#include <optional>
#include <vector>

#include "base/progress.h"
#include "layerstore/codec.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// Levels go from 1 to this one.
int highest_level(Compression compression);

/// How the layers of an image are to be compressed.
struct Recompression {
  CompressOptions options;
  bool needs_chunks = false;  ///< of zstd: as zstd:chunked, whose files can be fetched one by one
  /// Also layers that are compressed so already, by another tool or at another level. Without, any blob of
  /// the store that has the layer in that compression will do.
  bool always = false;
  /// When set, layers in any other compression stay as they are.
  std::optional<Compression> only{};
};

/// The image with its layers so compressed: its id stays, its digest does not, and its manifest is OCI's. An
/// image of which nothing has to change is returned as it is. What comes out depends on the tar alone where
/// `always` is set. New blobs and the manifest are stored, without a name; which blob a layer became is
/// remembered as long as that blob is there. The caller holds Store::share(). Throws invalid when the
/// compression has no such level.
Image recompress(const Store& store, const Image& image, const Recompression& how, Progress& progress);
/// The layers of such an image alone, in its order: no manifest is stored.
std::vector<Descriptor> recompress_layers(const Store& store, const Image& image, const Recompression& how,
                                          Progress& progress);

}  // namespace lay::layerstore
