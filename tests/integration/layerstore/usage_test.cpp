#include "layerstore/usage.h"

#include <catch2/catch.hpp>

#include "store_support.h"

namespace lay::test {

namespace {

using layerstore::Image;
using layerstore::ImageUsage;
using layerstore::StoreUsage;

/// What du counts of these paths, each inode once.
std::uint64_t du(const std::string& paths) {
  const ShellResult counted = shell("du -sB1 -c " + paths + " | tail -n 1 | cut -f1");
  REQUIRE(counted.status == 0);
  return std::stoull(counted.output);
}

std::string layer_paths(const TempStore& temp, const Image& image, std::size_t layer) {
  return temp.path() + "/layers/" + image.config.diff_ids.at(layer).hex() + " " + temp.path() +
         "/blobs/sha256/" + image.manifest.layers.at(layer).digest.hex();
}

Image add_layer(const TempStore& temp, const Image& base, const std::string& name,
                const std::string& script) {
  TempFolder folder;
  const UniqueFd upper = make_tree(folder, "upper", script);
  return layerstore::commit_upper(temp.store, upper, name, {.base = base}, no_progress());
}

Image make_base(const TempStore& temp, layerstore::Compression compression = layerstore::Compression::zstd) {
  TempFolder folder;
  make_tree(folder, "tree", "head -c 300000 /dev/urandom >base");
  return import(temp.store, tar_of(folder.path() + "/tree"), "base:1", compression);
}

const ImageUsage& usage_of(const StoreUsage& usage, const std::string& name) {
  for (const ImageUsage& image : usage.images)
    if (image.name == name) return image;
  FAIL("no usage of " << name);
  return usage.images.front();
}

}  // namespace

TEST_CASE("usage counts as du does: what images share, what each has alone, and all of it once",
          "[layerstore][usage]") {
  const TempStore temp;
  const Image base = make_base(temp);
  const Image left = add_layer(temp, base, "left:1", "head -c 500000 /dev/urandom >left");
  const Image right = add_layer(temp, base, "right:1", "head -c 700000 /dev/urandom >right");
  temp.store.images().put("left:2", left.descriptor);
  const StoreUsage usage = layerstore::measure_usage(temp.store, {});
  const std::uint64_t shared = du(layer_paths(temp, base, 0));
  CHECK(usage_of(usage, "base:1").shared == shared);
  CHECK(usage_of(usage, "left:1").shared == shared);
  CHECK(usage_of(usage, "right:1").shared == shared);
  const std::string blobs = temp.path() + "/blobs/sha256/";
  CHECK(usage_of(usage, "left:1").unique == du(layer_paths(temp, left, 1) + " " + blobs + left.id().hex() +
                                               " " + blobs + left.descriptor.digest.hex()));
  CHECK(usage_of(usage, "left:2").unique == usage_of(usage, "left:1").unique);
  CHECK(usage.used == du(temp.path() + "/blobs/sha256/* " + temp.path() + "/layers/*"));
  CHECK(usage.reclaimable == 0);
}

TEST_CASE("an uncompressed layer is one file with two names, and counts once", "[layerstore][usage]") {
  const TempStore temp{.form = layerstore::LayerForm::erofs};
  make_base(temp, layerstore::Compression::none);
  const StoreUsage usage = layerstore::measure_usage(temp.store, {});
  CHECK(usage.used == du(temp.path() + "/blobs/sha256/* " + temp.path() + "/layers/*"));
  CHECK(usage.used < 400000);
}

TEST_CASE("a collection frees what was reclaimable, to the byte", "[layerstore][usage]") {
  const TempStore temp;
  const Image base = make_base(temp);
  const Image top = add_layer(temp, base, "top:1", "head -c 500000 /dev/urandom >top");
  temp.store.images().remove("top:1");
  REQUIRE(shell("mkdir " + temp.path() + "/ingest/dead && head -c 90000 /dev/urandom >" + temp.path() +
                "/ingest/dead/blob")
              .status == 0);
  const std::string parts =
      temp.path() + "/blobs/sha256 " + temp.path() + "/layers " + temp.path() + "/ingest";
  const std::uint64_t before = du(parts);
  const std::uint64_t reclaimable = layerstore::measure_usage(temp.store, {}).reclaimable;
  CHECK(reclaimable > 1'090'000);
  test::collect(temp.store);
  CHECK(before - du(parts) == reclaimable);
  CHECK(layerstore::measure_usage(temp.store, {}).reclaimable == 0);
}

TEST_CASE("what containers stand on is used, with or without a name", "[layerstore][usage]") {
  const TempStore temp;
  const Image base = make_base(temp);
  temp.store.images().remove("base:1");
  const layerstore::InUse in_use{
      .manifests = {base.descriptor.digest},
      .layers = {base.config.diff_ids.begin(), base.config.diff_ids.end()},
  };
  const StoreUsage usage = layerstore::measure_usage(temp.store, in_use);
  CHECK(usage.images.empty());
  CHECK(usage.reclaimable == 0);
  CHECK(usage.used == du(temp.path() + "/blobs/sha256/* " + temp.path() + "/layers/*"));
}

}  // namespace lay::test
