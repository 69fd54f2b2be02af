#include "base/spill_map.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "spill_all.h"

namespace lay {
namespace {

constexpr std::uint64_t kCount = 100'000;

/// Keys in an order in which none follows the one before.
std::uint64_t scattered(std::uint64_t i) {
  return i * 7919 % kCount;
}

TEST_CASE("a table finds what was put into it, in whatever order", "[base][spill]") {
  SpillMemory memory(test::spill_all());
  SpillMap<std::uint64_t, std::uint64_t> map(memory);
  bool are_new = true;
  for (std::uint64_t i = 0; i < kCount; ++i) are_new = are_new && map.try_emplace(scattered(i), i).second;
  CHECK(are_new);
  bool are_found = true;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const std::uint64_t* const found = map.find(scattered(i));
    are_found = are_found && found != nullptr && *found == i;
  }
  CHECK(are_found);
  CHECK(map.find(kCount) == nullptr);
}

TEST_CASE("what a table has for a key stays, and may be changed in its place", "[base][spill]") {
  SpillMemory memory(test::spill_all());
  SpillMap<int, int> map(memory);
  CHECK(map.find(1) == nullptr);
  CHECK(map.try_emplace(1, 10).second);
  const auto [value, is_new] = map.try_emplace(1, 20);
  CHECK_FALSE(is_new);
  CHECK(*value == 10);
  *value = 30;
  CHECK(*map.find(1) == 30);
}

TEST_CASE("a table is gone through by its keys", "[base][spill]") {
  SpillMemory memory(test::spill_all());
  SpillMap<std::uint64_t, std::uint64_t> map(memory);
  for (std::uint64_t i = 0; i < kCount; ++i) map.try_emplace(scattered(i), i);
  std::uint64_t expected = 0;
  bool is_in_order = true;
  map.for_each([&](std::uint64_t key, std::uint64_t) { is_in_order = is_in_order && key == expected++; });
  CHECK(is_in_order);
  CHECK(expected == kCount);
}

TEST_CASE("a table of ascending keys takes little more than they do", "[base][spill]") {
  SpillMemory memory(test::spill_all());
  SpillMap<std::uint64_t, std::uint64_t> map(memory);
  for (std::uint64_t i = 0; i < kCount; ++i) map.try_emplace(i, i);
  CHECK(memory.spilled() < kCount * 16 * 2 + (std::size_t{4} << 20U));
}

}  // namespace
}  // namespace lay
