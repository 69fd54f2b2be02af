#include "layerstore/id_ranges.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <set>

namespace lay::layerstore {

namespace {

std::vector<IdRange> ranges_of(const std::set<std::uint32_t>& ids) {
  std::vector<IdRange> ranges;
  for (const std::uint32_t id : ids) {
    if (!ranges.empty() && ranges.back().last + 1 == id)
      ranges.back().last = id;
    else
      ranges.push_back({id, id});
  }
  return ranges;
}

}  // namespace

TEST_CASE("ids in any order make the fewest ranges", "[ids]") {
  std::minstd_rand random(7);
  for (int round = 0; round < 200; ++round) {
    IdRanges ids;
    std::set<std::uint32_t> model;
    for (int i = 0; i < 60; ++i) {
      const auto first = static_cast<std::uint32_t>(random() % 120);
      const std::uint32_t last = first + static_cast<std::uint32_t>(random() % 4);
      ids.add({first, last});
      for (std::uint32_t id = first; id <= last; ++id) model.insert(id);
      REQUIRE(ids.ranges() == ranges_of(model));
    }
  }
}

TEST_CASE("the first and the last id meet nobody", "[ids]") {
  IdRanges ids;
  ids.add(UINT32_MAX);
  ids.add(0);
  CHECK(ids.ranges() == std::vector<IdRange>{{0, 0}, {UINT32_MAX, UINT32_MAX}});
  ids.add(UINT32_MAX - 1);
  CHECK(ids.ranges() == std::vector<IdRange>{{0, 0}, {UINT32_MAX - 1, UINT32_MAX}});
}

TEST_CASE("more ids than ranges lose their smallest gaps and no id", "[ids]") {
  IdRanges ids;
  ids.add(0);
  for (std::uint32_t i = 0; i < 100'000; ++i) ids.add(1000 + i * 3);
  ids.add(5'000'000);
  CHECK(ids.ranges().size() == 340);
  CHECK(ids.ranges().front() == IdRange{0, 0});
  CHECK(ids.ranges().back() == IdRange{5'000'000, 5'000'000});
  for (std::uint32_t i = 0; i < 100'000; i += 977) {
    const std::uint32_t id = 1000 + i * 3;
    CHECK(std::any_of(ids.ranges().begin(), ids.ranges().end(),
                      [&](const IdRange& range) { return range.first <= id && id <= range.last; }));
  }
}

}  // namespace lay::layerstore
