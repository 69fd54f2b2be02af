#include "layerstore/fsck.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "base/syscalls.h"
#include "images/recompressed_blobs.h"
#include "store_support.h"

namespace lay::test {

namespace {

using layerstore::Damage;
using layerstore::DamagedPart;
using layerstore::Image;
using layerstore::LayerForm;

/// An image of two files, one of them compressible.
Image make_image(const TempStore& temp, const std::string& name, const std::string& word,
                 layerstore::Compression compression = layerstore::Compression::zstd) {
  TempFolder folder;
  make_tree(folder, "tree", "echo " + word + " >file; yes " + word + " | head -c 100000 >large");
  return import(temp.store, tar_of(folder.path() + "/tree"), name, compression);
}

std::string blob_path(const TempStore& temp, const layerstore::Digest& digest) {
  return temp.path() + "/blobs/" + digest.algorithm_name() + "/" + digest.hex();
}

std::string layer_path(const TempStore& temp, const Image& image) {
  return temp.path() + "/layers/" + image.config.diff_ids.at(0).hex();
}

/// Turns over one bit in the middle of a file.
void flip(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary | std::ios::ate);
  REQUIRE(file);
  const std::streamoff middle = file.tellg() / 2;
  file.seekg(middle);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(middle);
  file.put(byte);
}

std::vector<Damage> damages(const TempStore& temp) {
  return layerstore::check_store(temp.store, no_progress()).damages;
}

bool names(const std::vector<Damage>& found, DamagedPart part, const std::string& name,
           const std::vector<std::string>& images) {
  return std::any_of(found.begin(), found.end(), [&](const Damage& damage) {
    return damage.part == part && damage.name == name && damage.images == images;
  });
}

std::vector<Damage> repaired(const TempStore& temp) {
  layerstore::repair_locally(temp.store, layerstore::check_store(temp.store, no_progress()),
                             [](const layerstore::Digest&, const auto& replace) { replace(); });
  return damages(temp);
}

}  // namespace

TEST_CASE("a store without damage is good, and every part of it was read", "[layerstore][fsck]") {
  const TempStore temp;
  make_image(temp, "a:1", "one");
  make_image(temp, "b:1", "two");
  const layerstore::FsckReport report = layerstore::check_store(temp.store, no_progress());
  CHECK(report.damages.empty());
  CHECK(report.blobs == 6);
  CHECK(report.layers == 2);
  CHECK(report.images == 2);
  CHECK(report.bytes > 200000);
}

TEST_CASE("a flipped bit in any blob is found, with the images that need it and no others",
          "[layerstore][fsck]") {
  const TempStore temp;
  const Image image = make_image(temp, "a:1", "one");
  make_image(temp, "b:1", "two");
  temp.store.images().put("c:1", image.descriptor);
  const std::vector<std::string> users{"a:1", "c:1"};
  for (const auto& digest : {image.descriptor.digest, image.id(), image.manifest.layers.at(0).digest}) {
    flip(blob_path(temp, digest));
    CHECK(names(damages(temp), DamagedPart::blob, digest.to_string(), users));
    flip(blob_path(temp, digest));
    CHECK(damages(temp).empty());
  }
}

TEST_CASE("a damaged blob that no image needs is found too", "[layerstore][fsck]") {
  const TempStore temp;
  const auto blob = temp.store.blobs().put("unneeded", "text/plain");
  flip(blob_path(temp, blob.digest));
  CHECK(names(damages(temp), DamagedPart::blob, blob.digest.to_string(), {}));
}

TEST_CASE("a flipped bit in any file of a mounted layer is found and mended from the blob",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  for (const char* file : {"layer.tar", "layer.erofs"}) {
    flip(layer_path(temp, image) + "/" + file);
    CHECK(names(damages(temp), DamagedPart::layer, image.config.diff_ids.at(0).to_string(), {"a:1"}));
    CHECK(repaired(temp).empty());
  }
  shell("printf 'file\\0' >" + layer_path(temp, image) + "/implied");
  CHECK(damages(temp).size() == 1);
  CHECK(repaired(temp).empty());
}

TEST_CASE("a changed file, mode or owner of an unpacked layer is found and mended from the blob",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::tree};
  const Image image = make_image(temp, "a:1", "one");
  const std::string file = layer_path(temp, image) + "/tree/file";
  for (const std::string& change : {"printf x >>" + file, "chmod 600 " + file, "chown 1 " + file,
                                    "rm " + file, "touch -d @1 " + file, "touch " + file + "2"}) {
    INFO(change);
    REQUIRE(shell(change).status == 0);
    CHECK(names(damages(temp), DamagedPart::layer, image.config.diff_ids.at(0).to_string(), {"a:1"}));
    CHECK(repaired(temp).empty());
  }
}

TEST_CASE("a mounted layer that has lost its tar is known as such, and made again of the blob",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  REQUIRE(shell("rm " + layer_path(temp, image) + "/layer.tar").status == 0);
  CHECK_FALSE(layerstore::is_unpacked(temp.store, image.config.diff_ids.at(0)));
  CHECK(names(damages(temp), DamagedPart::layer, image.config.diff_ids.at(0).to_string(), {"a:1"}));
  CHECK(repaired(temp).empty());
}

TEST_CASE("an unpacked layer is exchanged in one moment, or not at all while it is used",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::tree};
  const Image image = make_image(temp, "a:1", "one");
  const std::string tree = layer_path(temp, image) + "/tree";
  REQUIRE(shell("printf x >>" + tree + "/file").status == 0);
  const auto inode = [&] { return shell("stat -c %i " + tree).output; };
  const std::string before = inode();
  int asked = 0;
  layerstore::repair_locally(temp.store, layerstore::check_store(temp.store, no_progress()),
                             [&](const layerstore::Digest& diff_id, const auto&) {
                               CHECK(diff_id == image.config.diff_ids.at(0));
                               ++asked;
                             });
  CHECK(asked == 1);
  CHECK(inode() == before);
  CHECK(damages(temp).size() == 1);
  CHECK(repaired(temp).empty());
  CHECK(inode() != before);
}

TEST_CASE("a missing blob is a damage of the image", "[layerstore][fsck]") {
  const TempStore temp;
  const Image image = make_image(temp, "a:1", "one");
  for (const auto& digest : {image.manifest.layers.at(0).digest, image.id(), image.descriptor.digest}) {
    temp.store.blobs().remove(digest);
    CHECK(names(damages(temp), DamagedPart::image, "a:1", {"a:1"}));
  }
}

TEST_CASE("a damaged or missing blob is compressed again from its layer, to the same bytes",
          "[layerstore][fsck]") {
  const auto compression = GENERATE(layerstore::Compression::zstd, layerstore::Compression::gzip);
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one", compression);
  const layerstore::Descriptor& blob = image.manifest.layers.at(0);
  flip(blob_path(temp, blob.digest));
  CHECK(repaired(temp).empty());
  temp.store.blobs().remove(blob.digest);
  CHECK(repaired(temp).empty());
  CHECK(temp.store.blobs().is_whole(blob));
}

TEST_CASE("a collection keeps the level of a lost blob as long as an image needs it", "[layerstore][fsck]") {
  const TempStore temp;
  const Image image = make_image(temp, "a:1", "one");
  const layerstore::Digest& diff_id = image.config.diff_ids.at(0);
  const layerstore::Descriptor& blob = image.manifest.layers.at(0);
  const UniqueFd root = sys::open_dir(sys::cwd(), temp.path());
  const layerstore::RecompressedBlobs notes(root, temp.store.blobs());
  notes.note(diff_id, {.compression = layerstore::Compression::zstd, .level = 9}, blob);
  REQUIRE(shell("rm -f " + blob_path(temp, blob.digest)).status == 0);
  temp.store.collect([] { return layerstore::InUse{}; });
  CHECK(notes.find_level(diff_id, blob) == 9);
  temp.store.images().remove("a:1");
  temp.store.collect([] { return layerstore::InUse{}; });
  CHECK(notes.find_level(diff_id, blob) == std::nullopt);
}

TEST_CASE("a whole tar gives both the image and the blob again, when all else is damaged",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  const layerstore::Descriptor& blob = image.manifest.layers.at(0);
  flip(blob_path(temp, blob.digest));
  flip(layer_path(temp, image) + "/layer.erofs");
  CHECK(repaired(temp).empty());
  CHECK(temp.store.blobs().is_whole(blob));
  REQUIRE(shell("rm " + layer_path(temp, image) + "/layer.erofs " + blob_path(temp, blob.digest)).status ==
          0);
  CHECK(repaired(temp).empty());
  CHECK(temp.store.blobs().is_whole(blob));
}

TEST_CASE("an unpacked layer that has lost its blob cannot be checked, and stays", "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::tree};
  const Image image = make_image(temp, "a:1", "one");
  const auto& digest = image.manifest.layers.at(0).digest;
  flip(blob_path(temp, digest));
  for (int round = 0; round < 2; ++round) {
    const std::vector<Damage> left = repaired(temp);
    CHECK(std::none_of(left.begin(), left.end(),
                       [](const Damage& damage) { return damage.part == DamagedPart::layer; }));
    CHECK_FALSE(left.empty());
    CHECK(shell("test -s " + layer_path(temp, image) + "/tree/file").status == 0);
    temp.store.blobs().remove(digest);
  }
}

TEST_CASE("a layer whose recovery was cut off is recovered by the next who needs it", "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  const std::string layer = layer_path(temp, image);
  const auto& diff_id = image.config.diff_ids.at(0);
  const auto& blob = image.manifest.layers.at(0);
  const std::string other_boot = "rm -f " + layer + "/synced; echo other >" + layer + "/boot; ";
  for (const std::string& state :
       {std::string("mv {}/layer.erofs {}/layer.erofs.new"), std::string("rm {}/layer.erofs"),
        std::string("rm {}/layer.tar {}/layer.erofs"), std::string("echo x >{}/layer.erofs.new")}) {
    INFO(state);
    std::string command = other_boot + state;
    for (std::size_t at = command.find("{}"); at != std::string::npos; at = command.find("{}"))
      command.replace(at, 2, layer);
    REQUIRE(shell(command).status == 0);
    temp.store.layers().ensure(diff_id, blob, temp.store.blobs());
    CHECK(temp.store.layers().has(diff_id));
    CHECK(shell("test ! -e " + layer + "/layer.erofs.new").status == 0);
    CHECK(damages(temp).empty());
  }
}

TEST_CASE("a layer stays that is wrong, when its blob is no better", "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  const std::string layer = layer_path(temp, image);
  const auto& diff_id = image.config.diff_ids.at(0);
  const auto& blob = image.manifest.layers.at(0);
  const auto ensure = [&] { temp.store.layers().ensure(diff_id, blob, temp.store.blobs()); };
  flip(layer + "/layer.tar");
  flip(blob_path(temp, blob.digest));
  REQUIRE(shell("rm -f " + layer + "/synced; echo other >" + layer + "/boot").status == 0);
  CHECK_THROWS(ensure());
  flip(layer + "/layer.erofs");
  CHECK_THROWS(temp.store.layers().mend(diff_id, blob, temp.store.blobs()));
  CHECK(shell("test -s " + layer + "/layer.tar && test -s " + layer + "/layer.erofs").status == 0);
  flip(blob_path(temp, blob.digest));
  ensure();
  CHECK(damages(temp).empty());
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("what an older lay noted of a layer's owners is noted anew", "[layerstore][layer]") {
  const TempStore temp{.form = GENERATE(LayerForm::erofs, LayerForm::tree)};
  TempFolder folder;
  make_tree(folder, "tree", "echo x >file; chown 7:70000 file");
  const Image image = import(temp.store, tar_of(folder.path() + "/tree"), "a:1");
  const auto owners = [&] {
    return temp.store.layers().owners(image.config.diff_ids.at(0), image.manifest.layers.at(0),
                                      temp.store.blobs());
  };
  const std::string file = layer_path(temp, image) + "/owners";
  const layerstore::OwnerIds noted = owners();
  const std::string record = shell("tr '\\0' ' ' <" + file).output;
  CHECK(noted.gids.ranges().back().last == 70000);
  REQUIRE(shell("printf '7\\0%s\\0' 70000 >" + file).status == 0);
  CHECK(owners() == noted);
  CHECK(shell("tr '\\0' ' ' <" + file).output == record);
}

TEST_CASE("a record of owners that is not its layer's is damage, and nobody goes by one that was changed",
          "[layerstore][fsck]") {
  const TempStore temp{.form = GENERATE(LayerForm::erofs, LayerForm::tree)};
  TempFolder folder;
  make_tree(folder, "tree", "echo x >file; chown 7:70000 file");
  const Image image = import(temp.store, tar_of(folder.path() + "/tree"), "a:1");
  const auto owners = [&] {
    return temp.store.layers().owners(image.config.diff_ids.at(0), image.manifest.layers.at(0),
                                      temp.store.blobs());
  };
  const layerstore::OwnerIds noted = owners();
  const std::string file = layer_path(temp, image) + "/owners";
  for (const std::string change : {"sed -i s/70000/10000/ ", "truncate -s 0 ", "truncate -s 8 ", "rm "}) {
    CAPTURE(change);
    REQUIRE(shell(change + file).status == 0);
    CHECK(names(damages(temp), DamagedPart::layer, image.config.diff_ids.at(0).to_string(), {"a:1"}));
    CHECK(repaired(temp).empty());
    CHECK(owners() == noted);
    REQUIRE(shell(change + file).status == 0);
    CHECK(owners() == noted);
    CHECK(repaired(temp).empty());
  }
}

TEST_CASE("a layer that is all root's has a record of owners too, and without one is looked at again",
          "[layerstore][fsck]") {
  const TempStore temp{.form = GENERATE(LayerForm::erofs, LayerForm::tree)};
  const Image image = make_image(temp, "a:1", "text");
  const std::string file = layer_path(temp, image) + "/owners";
  const std::string record = shell("tr '\\0' ' ' <" + file).output;
  CHECK(record.starts_with('='));
  REQUIRE(shell("rm " + file).status == 0);
  CHECK(damages(temp).empty());
  const auto owners = temp.store.layers().owners(image.config.diff_ids.at(0), image.manifest.layers.at(0),
                                                 temp.store.blobs());
  CHECK(owners.uids.ranges().size() <= 1);
  CHECK(shell("tr '\\0' ' ' <" + file).output == record);
}

TEST_CASE("what is damaged in the blob and in the layer is not mended, and stays named",
          "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const Image image = make_image(temp, "a:1", "one");
  flip(blob_path(temp, image.manifest.layers.at(0).digest));
  flip(layer_path(temp, image) + "/layer.tar");
  CHECK_FALSE(repaired(temp).empty());
  CHECK_FALSE(repaired(temp).empty());
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("what a power cut left of a layer is no damage, since it is made again", "[layerstore][fsck]") {
  const TempStore temp{.form = LayerForm::erofs};
  const std::string layer = layer_path(temp, make_image(temp, "app:1", "text"));
  REQUIRE(shell("truncate -s 700 " + layer + "/layer.tar").status == 0);
  CHECK(check_store(temp.store, no_progress()).damages.size() == 1);
  REQUIRE(shell("echo other >" + layer + "/boot").status == 0);
  CHECK(check_store(temp.store, no_progress()).damages.empty());
}

}  // namespace lay::test
