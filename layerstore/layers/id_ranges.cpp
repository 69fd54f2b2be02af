#include "layerstore/id_ranges.h"

#include <algorithm>
#include <cstddef>

namespace lay::layerstore {

namespace {

constexpr std::size_t kMostRanges = 340;  // what a user namespace can map, user_namespaces(7)

/// Without an id between them.
bool touch(const IdRange& low, const IdRange& high) {
  return std::uint64_t{low.last} + 1 >= high.first;
}

}  // namespace

bool IdRanges::has(IdRange ids) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), ids.first,
                       [](std::uint32_t id, const IdRange& range) { return id < range.first; });
  return after != ranges_.begin() && std::prev(after)->last >= ids.last;
}

void IdRanges::add(IdRange ids) {
  if (has(ids)) return;
  const auto begin = std::find_if(ranges_.begin(), ranges_.end(), [&](const IdRange& range) {
    return touch(range, ids) || range.first > ids.first;
  });
  auto end = begin;
  for (; end != ranges_.end() && touch(ids, *end); ++end) {
    ids.first = std::min(ids.first, end->first);
    ids.last = std::max(ids.last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), ids);
  if (ranges_.size() > kMostRanges) close_smallest_gap();
}

void IdRanges::close_smallest_gap() {
  std::size_t smallest = 1;
  const auto gap = [&](std::size_t i) { return ranges_[i].first - ranges_[i - 1].last; };
  for (std::size_t i = 2; i < ranges_.size(); ++i)
    if (gap(i) < gap(smallest)) smallest = i;
  ranges_[smallest - 1].last = ranges_[smallest].last;
  ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(smallest));
}

}  // namespace lay::layerstore
