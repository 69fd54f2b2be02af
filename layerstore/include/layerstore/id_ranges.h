#pragma once

#include <cstdint>
#include <vector>

namespace lay::layerstore {

struct IdRange {
  std::uint32_t first;
  std::uint32_t last;

  bool operator==(const IdRange&) const = default;
};

/// A set of user or group ids.
class IdRanges {
 public:
  void add(std::uint32_t id) { add(IdRange{id, id}); }
  void add(IdRange ids);

  /// Sorted, apart from each other. A set that would take more than 340 of them holds what lies in its
  /// smallest gaps as well.
  const std::vector<IdRange>& ranges() const { return ranges_; }

  bool operator==(const IdRanges& other) const { return ranges_ == other.ranges_; }

 private:
  bool has(IdRange ids) const;
  void close_smallest_gap();

  std::vector<IdRange> ranges_;
};

/// The owners of a layer's entries.
struct OwnerIds {
  IdRanges uids;
  IdRanges gids;

  bool operator==(const OwnerIds&) const = default;
};

}  // namespace lay::layerstore
