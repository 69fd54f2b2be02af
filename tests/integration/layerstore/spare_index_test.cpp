#include "images/spare_index.h"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/syscalls.h"
#include "temp_folder.h"

using namespace lay;
using layerstore::keep_spare_index;
using layerstore::try_publish_in_spare;

namespace {

constexpr const char* kIndex = "index.json";
constexpr const char* kSpare = "ingest/.spare-index";

/// A store's folder with an index, and a spare for it.
struct Fixture {
  test::TempFolder dir;
  const UniqueFd& root = dir.fd();

  Fixture() {
    sys::mkdir_at(root, "ingest", 0700);
    write(kIndex, "first");
    keep_spare_index(root, kIndex, 100);
  }

  void write(const std::string& name, std::string_view text) const {
    sys::write_all(sys::open_at(root, name, O_WRONLY | O_CREAT | O_TRUNC, 0600), text);
  }
  std::string read(const std::string& name) const {
    return sys::read_all(sys::open_at(root, name, O_RDONLY), 4096);
  }
  bool publish(std::string_view text) const { return try_publish_in_spare(root, kIndex, text); }
};

}  // namespace

TEST_CASE("the spare index takes the place of the index, which is the next spare", "[store][spare_index]") {
  const Fixture store;
  CHECK(store.read(kSpare).empty());
  CHECK(sys::stat_at(store.root, kSpare).st_blocks > 0);
  REQUIRE(store.publish("second"));
  CHECK(store.read(kIndex) == "second");
  CHECK(store.read(kSpare) == "first");
  REQUIRE(store.publish("third"));
  CHECK(store.read(kIndex) == "third");
}

TEST_CASE("a spare index that a copy of the store has too is never written", "[store][spare_index]") {
  const Fixture store;
  sys::link_at(store.root, kIndex, store.root, "copy");
  REQUIRE(store.publish("second"));
  CHECK_FALSE(store.publish("third"));
  CHECK(store.read(kIndex) == "second");
  CHECK(store.read("copy") == "first");

  keep_spare_index(store.root, kIndex, 100);  // another takes its place
  REQUIRE(store.publish("third"));
  CHECK(store.read("copy") == "first");
}

TEST_CASE("a spare index that somebody reads as the index is left alone", "[store][spare_index]") {
  const Fixture store;
  const UniqueFd reader = sys::open_at(store.root, kIndex, O_RDONLY);
  REQUIRE(store.publish("second"));
  CHECK_FALSE(store.publish("third"));
  keep_spare_index(store.root, kIndex, 100'000);
  CHECK(sys::read_all(reader, 4096) == "first");
}

TEST_CASE("an index that is its own spare is never written", "[store][spare_index]") {
  const Fixture store;
  sys::unlink_at(store.root, kSpare);
  sys::link_at(store.root, kIndex, store.root, kSpare);
  CHECK_FALSE(store.publish("second"));
  CHECK(store.read(kIndex) == "first");
  keep_spare_index(store.root, kIndex, 100);
  CHECK(store.read(kIndex) == "first");
  REQUIRE(store.publish("second"));
}
