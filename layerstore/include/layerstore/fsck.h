#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "layerstore/digest.h"
#include "layerstore/store.h"

namespace lay::layerstore {

enum class DamagedPart {
  blob,   ///< its bytes are not those of its digest, or it is no file
  layer,  ///< what is ready to mount is not what its diff_id says
  image,  ///< something that the name needs is missing or cannot be read
};

struct Damage {
  DamagedPart part = DamagedPart::blob;
  std::string name;                 ///< digest, diff_id, or the image's name
  std::string problem;              ///< "got …, expected …"
  std::vector<std::string> images;  ///< names that need it, sorted

  bool operator==(const Damage&) const = default;
};

struct FsckReport {
  std::uint64_t blobs = 0;
  std::uint64_t layers = 0;
  std::uint64_t images = 0;
  std::uint64_t absent = 0;  ///< blobs that were left where they can be had (absent_blobs.h): no damage
  std::uint64_t bytes = 0;   ///< that were read
  std::vector<Damage> damages;
};

/// Reads every byte of the store and checks it: blobs against their digests, layers against their diff_ids
/// (a layer in the tree form is unpacked once more from its blob and compared), names for what they need.
/// Changes nothing. The caller holds Store::share().
FsckReport check_store(const Store& store, Progress& progress);

/// Calls `replace`, which puts a good layer in the place of an unpacked one, while nobody uses its files and
/// nobody can begin to; or does not, and it stays as it is.
using Replacing = std::function<void(const Digest& diff_id, const std::function<void()>& replace)>;

/// Mends what can be mended from what is here: a layer from its blob, a blob from its layer when compressing
/// it again gives the same bytes. The rest has to be fetched, and stays until then. The caller holds
/// Store::share(). An unpacked layer is exchanged by `replacing`.
void repair_locally(const Store& store, const FsckReport& report, const Replacing& replacing);

/// Whether what is there of the layer is unpacked: containers see those very files. Opens nothing of it.
bool is_unpacked(const Store& store, const Digest& diff_id);

}  // namespace lay::layerstore
