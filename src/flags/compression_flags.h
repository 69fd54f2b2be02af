#pragma once

#include <optional>
#include <string>

#include "flags/parser.h"
#include "layerstore/recompress.h"

namespace lay::cli {

/// How push and copy compress an image's layers for where they go.
struct CompressionFlags {
  std::string format;
  std::optional<int> level;
  bool always = false;

  /// Under the names that podman push has.
  void add_to(Parser& parser);
  /// Under those of skopeo copy.
  void add_to_copy(Parser& parser);
  /// Throws UsageError for a level that the format has not, and where a flag would change nothing.
  void check() const;
  bool are_given() const { return !format.empty() || level.has_value(); }

  /// The image as these flags want it, as it is without them. The caller holds Store::share().
  layerstore::Image applied_to(const layerstore::Store& store, const layerstore::Image& image,
                               Progress& progress) const;

 private:
  struct FlagNames {
    std::string format;
    std::string level;
    std::string always;
  };
  void add(Parser& parser, const FlagNames& names);

  FlagNames names_;
};

}  // namespace lay::cli
