#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/slots.h"
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

/// Where parts of a blob that is elsewhere come from. For one thread at a time.
class PartSource {
 public:
  virtual ~PartSource() = default;
  /// Writes that part to `out`, which is not finished; throws when it cannot.
  virtual void fetch(const BlobPart& part, ByteSink& out) = 0;
  /// What will be asked for from now on, in that order: it may be fetched ahead.
  virtual void expect(std::vector<BlobPart> parts) = 0;
};

/// What a caller wants of a zstd:chunked layer.
struct PartialWish {
  /// Whether the layer will do without its blob, which then has to be noted as absent.
  bool may_lack_blob = false;
  /// Begins the names of images that are likely to have much in common with it.
  std::string like = {};
};

/// A zstd:chunked layer that is elsewhere, and how little of it has to be fetched to have it here: as its
/// blob, byte for byte, or as its exact tar alone where that takes much less. Nothing that it is made of
/// needs to be trusted: the digest of the result says whether it is right.
class PartialLayer {
 public:
  /// Whether the blob's descriptor speaks of a table, and it is large enough to be worth a plan().
  static bool may_have_table(const Descriptor& blob);
  /// Fetches the table at the blob's end and makes the plan. Empty when there is no table, or so little would
  /// be saved that fetching the whole is faster. Throws what `source` throws; corrupt when the table is not
  /// the one that the descriptor's annotation names. `source` and `store` must outlive the result.
  static std::optional<PartialLayer> plan(const Store& store, const Descriptor& blob, PartSource& source,
                                          const PartialWish& wish = {});
  PartialLayer(PartialLayer&&) noexcept;
  ~PartialLayer();

  /// Whether there is write_tar(); otherwise write_blob().
  bool is_tar() const;
  /// Bytes that are fetched, the table included.
  std::uint64_t fetched() const;
  /// The bytes of the table, which plan() has fetched.
  std::uint64_t table_size() const;
  /// Writes the blob from `offset` on.
  void write_blob(std::uint64_t offset, ByteSink& out) const;
  /// Writes the tar, with what `parts` has of the blob. Throws corrupt or invalid when the blob's table
  /// contradicts itself.
  void write_tar(PartSource& parts, ByteSink& out) const;

 private:
  struct Plan;
  explicit PartialLayer(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

/// Makes the layer `diff_id` of the tar that `partial` puts together. It is on disk, can do without its blob
/// (LayerStore::secure), and every byte of it was checked when this returns the number of bytes that were
/// fetched. Empty when a blob is needed all the same: the layer came out unpacked, or `source` was
/// unavailable before it gave anything worth keeping, as where parts are not served. What is fetched is kept
/// by a failure that may pass, or a kill, and not fetched again by the next call; when `source` was
/// unavailable after it had given something, it is asked for the rest first. Throws corrupt when the tar was
/// not the one of `diff_id`. The caller holds Store::share().
std::optional<std::uint64_t> receive_tar(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                         const PartialLayer& partial, PartSource& source, Slots& makers,
                                         const std::function<void()>& check);

}  // namespace lay::layerstore
