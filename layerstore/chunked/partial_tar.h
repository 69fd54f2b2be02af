#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/stream.h"
#include "chunked/chunked_tail.h"
#include "chunked/local_frames.h"
#include "layerstore/partial.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// How the tar of a zstd:chunked layer that is elsewhere comes together here, whatever its blob looks like:
/// headers of the tar-split or of the blob, files' data of the store's blobs and layers, the rest inflated of
/// fetched frames. Nothing here needs to be trusted as long as the result is compared with its diff_id.
class PartialTar {
 public:
  /// Hashes local files that may be the same. Empty when so much has to be fetched that the whole comes as
  /// fast. `source`, `store` and `frames` must outlive it.
  ///   like   begins the names of images that are likely to have much in common
  static std::optional<PartialTar> plan(const Store& store, const Descriptor& blob,
                                        std::shared_ptr<const ChunkedTail> tail, const LocalFrames& frames,
                                        const std::string& like);
  PartialTar(PartialTar&&) noexcept;
  ~PartialTar();

  /// Bytes that are fetched, the tail included.
  std::uint64_t fetched() const;
  /// Writes the tar. Throws corrupt or invalid when what the blob says of it contradicts itself.
  void write(PartSource& source, ByteSink& out) const;

 private:
  struct Plan;
  explicit PartialTar(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

}  // namespace lay::layerstore
