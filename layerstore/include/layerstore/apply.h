#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/id_ranges.h"
#include "layerstore/lower_link.h"

namespace lay::layerstore {

/// Folders of a layer that show something else in a stack of layers than in the layer alone.
struct StackedFolders {
  /// Those that the tar only implies, parents first; "" is the root.
  std::vector<std::string> implied;
  /// Those with whiteouts in them, but the root, sorted.
  std::vector<std::string> with_whiteouts;
  /// Those that the tar implied before it had an entry for them, or something else in their place, sorted.
  /// What was put into them until then goes through a symlink of the layers below all the same.
  std::vector<std::string> entered;

  bool empty() const { return implied.empty() && with_whiteouts.empty() && entered.empty(); }
  bool operator==(const StackedFolders&) const = default;
};

struct ApplyStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  ///< of the tar
  std::int64_t newest = 0;  ///< latest time among the entries, seconds after 1970
  OwnerIds owners;
  StackedFolders folders;
};

/// What the unpacked folder will be.
enum class ApplyTarget {
  lower,  ///< of an overlay: attributes of a nested one stay escaped, as the tar has them
  root  ///< of a container as it is, with the attributes that an overlay would show; the tar has no whiteouts
};

struct ApplyOptions {
  ApplyTarget target = ApplyTarget::lower;
  /// Entries go through these where the layer has nothing else in their place; what they lead to is made as
  /// though the tar implied it.
  std::span<const LowerLink> links = {};
  /// More is unsupported; folders that the tar only implies count.
  std::uint64_t most_entries = std::numeric_limits<std::uint64_t>::max();
  /// Of what the mounted form needs to know of each entry.
  Spill spill = {};
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
ApplyStats apply_layer(ByteSource& tar, const UniqueFd& target, const ApplyOptions& options = {});

}  // namespace lay::layerstore
