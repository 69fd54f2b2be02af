#include "diff/sorted_names.h"

#include <dirent.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "spill_all.h"

namespace lay::layerstore {
namespace {

using Rank = SortedNames::Rank;

std::vector<std::string> read_all(SortedNames& names) {
  std::vector<std::string> result;
  while (auto found = names.next()) result.push_back(std::move(found->name));
  return result;
}

TEST_CASE("names come by rank, and in byte order", "[layerstore][names]") {
  SpillScratch memory({});
  SortedNames names(memory);
  for (const char* name : {"b", "a", "\xff", "ab", "A"}) names.add(name, DT_REG);
  names.add("z", DT_CHR, Rank::first);
  names.add("c", DT_CHR, Rank::first);
  CHECK(read_all(names) == std::vector<std::string>{"c", "z", "A", "a", "ab", "b", "\xff"});
}

TEST_CASE("of an empty folder come no names", "[layerstore][names]") {
  SpillScratch memory({});
  SortedNames names(memory);
  CHECK_FALSE(names.next());
  CHECK_FALSE(names.next());
}

TEST_CASE("a name comes with its type and rank, also when it is as long as can be", "[layerstore][names]") {
  SpillScratch memory({});
  SortedNames names(memory);
  names.add(std::string(255, 'x'), DT_LNK, Rank::first);
  const auto found = names.next();
  REQUIRE(found);
  CHECK(found->name == std::string(255, 'x'));
  CHECK(found->type == DT_LNK);
  CHECK(found->rank == Rank::first);
}

TEST_CASE("names of many megabytes are put together in order", "[layerstore][names]") {
  SpillScratch memory(test::spill_all());
  SortedNames names(memory);
  std::vector<std::string> expected;
  for (int i = 0; i < 200'000; ++i) {
    const std::string name =
        std::to_string(i * 7919LL % 200'000) + std::string(static_cast<std::size_t>(i % 40), '-');
    names.add(name, DT_REG);
    expected.push_back(name);
  }
  std::sort(expected.begin(), expected.end());
  CHECK((read_all(names) == expected));
  CHECK(memory.spilled() > 0);
}

TEST_CASE("a name that was added twice comes twice", "[layerstore][names]") {
  SpillScratch memory({});
  SortedNames names(memory);
  names.add("twice", DT_REG);
  names.add("twice", DT_DIR);
  CHECK(read_all(names) == std::vector<std::string>{"twice", "twice"});
}

}  // namespace
}  // namespace lay::layerstore
