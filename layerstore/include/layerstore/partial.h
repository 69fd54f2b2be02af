#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/stream.h"
#include "layerstore/descriptor.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// Some bytes of a blob.
struct BlobPart {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  bool operator==(const BlobPart&) const = default;
};

/// Where parts of a blob that is elsewhere come from. For one thread.
class PartSource {
 public:
  virtual ~PartSource() = default;
  /// Writes that part to `out`, which is not finished; throws when it cannot.
  virtual void fetch(const BlobPart& part, ByteSink& out) = 0;
  /// What will be asked for from now on, in that order: it may be fetched ahead.
  virtual void expect(std::vector<BlobPart> parts) = 0;
};

/// How the bytes of a zstd:chunked blob that is elsewhere come together here: frames of files that blobs of
/// the store have too are copied from those, frames of headers are compressed again, the rest is fetched. The
/// result is the blob, byte for byte, or its digest says that it is not: nothing here needs to be trusted.
class PartialBlob {
 public:
  /// Whether the blob's descriptor speaks of a table, and it is large enough to be worth a plan().
  static bool may_have_table(const Descriptor& blob);
  /// Fetches the table at the blob's end and makes the plan. Empty when there is no table, or so little would
  /// be saved that fetching the whole is faster. Throws what `source` throws; corrupt when the table is not
  /// the one that the descriptor's annotation names. `source` must outlive the result.
  static std::optional<PartialBlob> plan(const Store& store, const Descriptor& blob, PartSource& source);
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
