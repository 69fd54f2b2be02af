#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/stream.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

struct ApplyStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  ///< of the tar
  std::int64_t newest = 0;  ///< latest time among the entries, seconds after 1970
  /// Folders that the tar only implies, parents first; "" is the root.
  std::vector<std::string> implied;
};

/// Unpacks one layer tar beneath `target` in the tree form: the notation of an overlay lower, where a
/// whiteout is a char 0:0 node and an opaque folder carries trusted.overlay.opaque=y.
///   tar      the uncompressed tar; read to its very end, padding included
///   target   an empty folder of mode 0700; it becomes the layer's "/"
///   throws   invalid for what a hostile or broken tar may hold (threats.md T, F, W), naming the entry: also
///   for
///            a hard link whose target is not in this layer; unsupported for sparse files in pax
///            formats before 1.0; io
/// Holes are kept: those that a map tells of, and in other files where 64 KiB of zeros stand.
/// Nothing outside `target` is read, changed or created, whatever the tar says.
/// Parent folders that the tar only implies, the root among them, are made with mode 0755, of root, at time
/// 0. Whiteouts reach lower layers only: what the same tar adds stays, in either
/// order. May run in several threads.
ApplyStats apply_layer(ByteSource& tar, const UniqueFd& target);

}  // namespace lay::layerstore
