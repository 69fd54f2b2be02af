#include "erofs/folder_names.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "base/spill_memory.h"

namespace lay::layerstore {
namespace {

using Model = std::map<std::string, InodeIndex>;

Model listed(const FolderNames& names) {
  Model result;
  std::string before;
  for (const FolderName& entry : names) {
    REQUIRE((result.empty() || before < entry.name()));
    before = entry.name();
    result.emplace(before, entry.inode());
  }
  return result;
}

/// Names beside the model that they have to agree with.
struct Pair {
  void insert(const std::string& name, InodeIndex inode) {
    if (!model.emplace(name, inode).second) return;
    names.insert({memory.keep(name), inode});
  }
  void remove(const std::string& name) {
    const auto known = model.find(name);
    CHECK(names.remove(name) == (known == model.end() ? std::nullopt : std::optional(known->second)));
    if (known != model.end()) model.erase(known);
  }
  void check() const {
    CHECK(names.size() == model.size());
    CHECK(listed(names) == model);
  }

  SpillMemory memory;
  FolderNames names{memory};
  Model model;
};

TEST_CASE("a folder's names are in order, however they come", "[layerstore][tree]") {
  constexpr InodeIndex kCount = 5000;
  const auto name_of = [](InodeIndex i) { return fmt::format("{:06}", i); };
  Pair rising;
  Pair falling;
  for (InodeIndex i = 0; i < kCount; ++i) {
    rising.insert(name_of(i), i);
    falling.insert(name_of(kCount - i), i);
  }
  rising.check();
  falling.check();
  CHECK(rising.names.find("004999") == 4999);
  CHECK(falling.names.find("000001") == 4999);
  CHECK_FALSE(rising.names.find(""));
  CHECK_FALSE(rising.names.find("0025000"));
  CHECK_FALSE(rising.names.find("z"));
}

TEST_CASE("names that come, go and are looked for at random agree with a map", "[layerstore][tree]") {
  std::mt19937 random(7);  // NOLINT: the same each time
  Pair pair;
  for (InodeIndex i = 0; i < 40'000; ++i) {
    const std::string name = std::to_string(random() % 4000);
    if (random() % 3 == 0) {
      pair.remove(name);
    } else {
      pair.insert(name, i);
    }
    const std::string other = std::to_string(random() % 4000);
    const auto known = pair.model.find(other);
    REQUIRE(pair.names.find(other) ==
            (known == pair.model.end() ? std::nullopt : std::optional(known->second)));
  }
  pair.check();
  pair.names.remove_if([](const FolderName& entry) { return entry.inode() % 2 == 0; });
  std::erase_if(pair.model, [](const auto& entry) { return entry.second % 2 == 0; });
  pair.check();
  pair.names.clear();
  pair.model.clear();
  pair.check();
}

}  // namespace
}  // namespace lay::layerstore
