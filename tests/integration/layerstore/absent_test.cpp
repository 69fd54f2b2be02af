#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "layerstore/absent_blobs.h"
#include "layerstore/commit.h"
#include "layerstore/fsck.h"
#include "layerstore/manifest.h"
#include "store_support.h"

namespace lay::test {

namespace {

using layerstore::AbsentBlob;
using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::DigestAlgorithm;
using layerstore::Image;
using layerstore::LayerForm;

Digest digest_number(int number) {
  return layerstore::digest_of(std::to_string(number));
}

AbsentBlob absent_blob(int number, std::vector<std::string> origins) {
  return {.blob = Descriptor{.media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
                             .digest = digest_number(number),
                             .size = 100},
          .diff_id = digest_number(1000),
          .origins = std::move(origins)};
}

std::string make_tar() {
  TempFolder folder;
  make_tree(folder, "tree", "echo said >file");
  return tar_of(folder.path() + "/tree");
}

/// An image of one small layer, which is always the same.
Image make_image(const TempStore& temp, const std::string& name, layerstore::Compression compression) {
  static const std::string tar = make_tar();
  return import(temp.store, tar, name, compression);
}

/// `image` without its blob, as a pull leaves it that finds the layer here.
void leave_blob(const TempStore& temp, const Image& image) {
  temp.store.blobs().remove(image.manifest.layers[0].digest);
  REQUIRE(temp.store.absent().note({.blob = image.manifest.layers[0],
                                    .diff_id = image.config.diff_ids[0],
                                    .origins = {"localhost:1/team/app"}}));
}

bool has_record(const TempStore& temp, const Image& image) {
  return temp.store.absent().find(image.manifest.layers[0].digest).has_value();
}

}  // namespace

TEST_CASE("a record of an absent blob is read as it was noted, with every place it was seen in",
          "[layerstore][absent]") {
  const TempStore temp;
  const auto& absent = temp.store.absent();
  CHECK(absent.list().empty());
  CHECK_FALSE(absent.find(digest_number(1)));
  CHECK(absent.note(absent_blob(1, {"one/a"})));
  CHECK(absent.find(digest_number(1)) == absent_blob(1, {"one/a"}));
  CHECK(absent.note(absent_blob(1, {"two/b"})));
  CHECK(absent.note(absent_blob(1, {"one/a"})));
  CHECK(absent.find(digest_number(1))->origins == std::vector<std::string>{"two/b", "one/a"});
  for (int i = 0; i < 20; ++i) CHECK(absent.note(absent_blob(1, {"place/" + std::to_string(i)})));
  CHECK(absent.find(digest_number(1))->origins.size() == 8);
  CHECK(absent.find(digest_number(1))->origins.back() == "place/19");
  absent.remove(digest_number(1));
  CHECK_FALSE(absent.find(digest_number(1)));
}

TEST_CASE("a record stands for one blob of one layer and size", "[layerstore][absent]") {
  const TempStore temp;
  const AbsentBlob noted = absent_blob(1, {"one/a"});
  CHECK(temp.store.absent().note(noted));
  CHECK(temp.store.absent().has(noted.blob, noted.diff_id));
  CHECK_FALSE(temp.store.absent().has(noted.blob, digest_number(2)));
  Descriptor longer = noted.blob;
  longer.size = 101;
  CHECK_FALSE(temp.store.absent().has(longer, noted.diff_id));
}

TEST_CASE("who notes a blob as another layer than somebody else did is told, and changes nothing",
          "[layerstore][absent]") {
  const TempStore temp;
  const AbsentBlob noted = absent_blob(1, {"one/a"});
  AbsentBlob other = noted;
  other.diff_id = digest_number(1001);
  CHECK(temp.store.absent().note(noted));
  CHECK_FALSE(temp.store.absent().note(other));
  CHECK(temp.store.absent().find(noted.blob.digest) == noted);
  temp.store.absent().remove(noted.blob.digest);
  CHECK(temp.store.absent().note(other));
}

TEST_CASE("of pulls that note one blob at once no place is lost, and of two layers only one is noted",
          "[layerstore][absent]") {
  const TempStore temp;
  std::array<std::atomic<int>, 2> noted{};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      AbsentBlob absent = absent_blob(1, {"place/" + std::to_string(i)});
      absent.diff_id = digest_number(1000 + i % 2);
      if (temp.store.absent().note(absent)) ++noted.at(static_cast<std::size_t>(i % 2));
    });
  for (std::thread& thread : threads) thread.join();
  const auto record = temp.store.absent().find(digest_number(1));
  REQUIRE(record);
  const std::size_t first = record->diff_id == digest_number(1000) ? 0 : 1;
  CHECK(noted.at(first) == 4);
  CHECK(noted.at(1 - first) == 0);
  CHECK(record->origins.size() == 4);
}

TEST_CASE("what is no record of its blob is none", "[layerstore][absent]") {
  const TempStore temp;
  const auto& absent = temp.store.absent();
  CHECK(absent.note(absent_blob(1, {"one/a"})));
  const std::string folder = temp.path() + "/absent/";
  const std::string first = folder + "sha256." + digest_number(1).hex();
  const std::string second = folder + "sha256." + digest_number(2).hex();
  REQUIRE(shell("cp " + first + " " + second).status == 0);
  CHECK_FALSE(absent.find(digest_number(2)));
  for (const char* text : {"", "{}", "[]", "7", "null", "{\"diffId\": 1}"}) {
    REQUIRE(shell("printf '" + std::string(text) + "' >" + first).status == 0);
    CHECK_FALSE(absent.find(digest_number(1)));
  }
  CHECK(absent.list().empty());
  absent.keep_only([](const Digest&) { return false; });
  CHECK(shell("ls " + folder).output.empty());
}

TEST_CASE("an image does without a blob that is noted as absent, as long as its layer is there",
          "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  CHECK(temp.store.layers().secure(image.config.diff_ids[0]));
  leave_blob(temp, image);
  const auto report = layerstore::check_store(temp.store, no_progress());
  CHECK(report.damages.empty());
  CHECK(report.absent == 1);
  CHECK_NOTHROW(layerstore::ensure_layer(temp.store, image.manifest.layers[0], image.config.diff_ids[0]));

  TempFolder scratch;
  const UniqueFd upper = make_tree(scratch, "upper", "echo more >more");
  CHECK_NOTHROW(layerstore::commit_upper(temp.store, upper, "app:2", {.base = image}, no_progress()));

  temp.store.layers().remove(image.config.diff_ids[0]);
  const auto broken = layerstore::check_store(temp.store, no_progress()).damages;
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].part == layerstore::DamagedPart::layer);
  CHECK(broken[0].images == std::vector<std::string>{"app:1", "app:2"});
}

TEST_CASE("a layer whose own blob is absent is made of another blob that is here", "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  make_image(temp, "app:2", layerstore::Compression::gzip);
  leave_blob(temp, image);
  temp.store.layers().remove(image.config.diff_ids[0]);
  layerstore::ensure_layer(temp.store, image.manifest.layers[0], image.config.diff_ids[0]);
  CHECK(temp.store.layers().has(image.config.diff_ids[0]));
}

TEST_CASE("a record goes with the last image that needs it, or when its blob is there",
          "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  leave_blob(temp, image);
  temp.store.images().put("app:2", image.descriptor);
  temp.store.images().remove("app:1");
  collect(temp.store);
  CHECK(has_record(temp, image));
  temp.store.images().remove("app:2");
  collect(temp.store, {.manifests = {image.descriptor.digest}});
  CHECK(has_record(temp, image));
  collect(temp.store);
  CHECK_FALSE(has_record(temp, image));

  const Image again = make_image(temp, "app:1", layerstore::Compression::zstd);
  leave_blob(temp, again);
  make_image(temp, "app:1", layerstore::Compression::zstd);
  collect(temp.store);
  CHECK_FALSE(has_record(temp, again));
}

TEST_CASE("only a whole layer in the mounted form can do without its blob", "[layerstore][absent]") {
  const TempStore trees{.form = LayerForm::tree};
  const Image tree = make_image(trees, "app:1", layerstore::Compression::zstd);
  layerstore::ensure_layer(trees.store, tree.manifest.layers[0], tree.config.diff_ids[0]);
  CHECK_FALSE(trees.store.layers().secure(tree.config.diff_ids[0]));

  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  const Digest& diff_id = image.config.diff_ids[0];
  const std::string folder = temp.path() + "/layers/" + diff_id.hex();
  CHECK_FALSE(temp.store.layers().secure(digest_number(1)));
  CHECK(temp.store.layers().secure(diff_id));
  CHECK(shell("test -e " + folder + "/synced").status == 0);
  REQUIRE(shell("chmod u+w " + folder + "/layer.erofs; truncate -s 100 " + folder + "/layer.erofs").status ==
          0);
  CHECK(temp.store.layers().secure(diff_id));  // made again of its tar
  REQUIRE(shell("chmod u+w " + folder + "/layer.tar; truncate -s 600 " + folder + "/layer.tar").status == 0);
  CHECK_FALSE(temp.store.layers().secure(diff_id));
}

TEST_CASE("a layer that takes the place of one that is just being secured is on disk first",
          "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  const std::string folder = temp.path() + "/layers/" + image.config.diff_ids[0].hex();
  make_image(temp, "app:2", layerstore::Compression::zstd);
  CHECK(shell("test -e " + folder + "/synced").status != 0);
  const FileLock securing = FileLock::lock(sys::open_dir(sys::cwd(), folder), LockMode::exclusive);
  make_image(temp, "app:3", layerstore::Compression::zstd);
  CHECK(shell("test -e " + folder + "/synced").status == 0);
}

TEST_CASE("a layer of an earlier boot is hashed before it does without its blob", "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::zstd);
  const Digest& diff_id = image.config.diff_ids[0];
  const std::string folder = temp.path() + "/layers/" + diff_id.hex();
  REQUIRE(shell("rm -f " + folder + "/synced; echo other >" + folder + "/boot; chmod u+w " + folder +
                "/layer.tar; printf X | dd of=" + folder + "/layer.tar bs=1 seek=1030 conv=notrunc")
              .status == 0);
  CHECK_FALSE(temp.store.layers().secure(diff_id));
}

TEST_CASE("an uncompressed blob is made of the tar that is here", "[layerstore][absent]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "app:1", layerstore::Compression::gzip);
  const Digest& diff_id = image.config.diff_ids[0];
  const auto size = temp.store.layers().open(diff_id);
  const Descriptor plain{.media_type = "application/vnd.oci.image.layer.v1.tar",
                         .digest = diff_id,
                         .size = static_cast<std::uint64_t>(sys::stat_of(size.tar).st_size)};
  CHECK(layerstore::store_plain_blob(temp.store, plain, diff_id));
  CHECK(temp.store.blobs().is_whole(plain));
  CHECK_FALSE(layerstore::store_plain_blob(temp.store, image.manifest.layers[0], diff_id));
}

}  // namespace lay::test
