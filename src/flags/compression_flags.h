#pragma once

#include <string>

#include "flags/parser.h"
#include "layerstore/recompress.h"

namespace lay::cli {

/// How push and copy compress an image's layers for where they go.
struct CompressionFlags {
  std::string format;
  int level = 0;
  bool always = false;

  /// Under the names that podman push has.
  void add_to(Parser& parser);
  /// Under those of skopeo copy.
  void add_to_copy(Parser& parser);
  bool are_given() const { return !format.empty() || level != 0; }

  /// The image as these flags want it, as it is without them. The caller holds Store::share().
  layerstore::Image applied_to(const layerstore::Store& store, const layerstore::Image& image,
                               Progress& progress) const;
};

}  // namespace lay::cli
