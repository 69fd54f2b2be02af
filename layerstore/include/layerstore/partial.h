#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// Writes the `size` bytes of a blob from `offset` on to `out`, which is not finished; throws when it cannot.
using FetchRange = std::function<void(std::uint64_t offset, std::uint64_t size, ByteSink& out)>;

/// How the bytes of a zstd:chunked blob that is elsewhere come together here: frames of files that blobs of
/// the store have too are copied from those, frames of headers are compressed again, the rest is fetched. The
/// result is the blob, byte for byte, or its digest says that it is not: nothing here needs to be trusted.
class PartialBlob {
 public:
  /// Fetches the table at the blob's end and makes the plan. Empty when there is no table, or so little would
  /// be saved that fetching the whole is faster. Throws what `fetch` throws; corrupt when the table is not
  /// the one that the descriptor's annotation names.
  static std::optional<PartialBlob> plan(const Store& store, const Descriptor& blob, FetchRange fetch);
  PartialBlob(PartialBlob&&) noexcept;
  ~PartialBlob();

  /// Bytes that are fetched, the table included.
  std::uint64_t fetched() const;
  /// Writes the blob from `offset` on.
  void write(std::uint64_t offset, ByteSink& out) const;

 private:
  struct Plan;
  explicit PartialBlob(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

}  // namespace lay::layerstore
