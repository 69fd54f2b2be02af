#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "diff/data_map.h"
#include "error_of.h"
#include "layers/layer_folder.h"
#include "overlay_fixture.h"
#include "shown_layer.h"
#include "store_support.h"
#include "tar/sparse_map.h"
#include "tar/tar_reader.h"
#include "tar_builder.h"

/// Files with holes: upper, tar, both forms, and commit again.
namespace lay::layerstore {

namespace {

using test::apply_to;
using test::diff_of;
using test::error_of;
using test::OverlayFixture;
using test::run_in;
using test::shell;
using test::tree_difference;

/// put FILE OFFSET TEXT
constexpr const char* kPut =
    "put() { printf '%s' \"$3\" | dd of=\"$1\" bs=1M oflag=seek_bytes seek=$2 conv=notrunc "
    "status=none; }\n";

std::string again(const UniqueFd& folder) {
  StringSink sink;
  write_diff(folder, TreeKind::upper, sink);
  return sink.text();
}

/// The regions of the only sparse file of a tar; empty when there is none.
std::optional<std::vector<DataRegion>> map_in(const std::string& tar) {
  StringSource source(tar);
  TarReader reader(source);
  while (const auto entry = reader.next())
    if (entry->regions) return entry->regions;
  return std::nullopt;
}

std::string blocks_of(const std::string& path) {
  return shell("stat -c %b " + path).output;
}

}  // namespace

TEST_CASE("files with holes look the same in both forms, and give the same tar again",
          "[layerstore][sparse]") {
  const auto* script = GENERATE(
      "truncate -s 200M f; put f 0 start; put f 100000000 middle; put f 209715100 end", "truncate -s 100M f",
      "truncate -s 100000003 f; put f 100000000 end",
      "truncate -s 100000003 f; put f 70000 x; chmod 4755 f; chown 70000:80000 f; setfattr -n user.k -v v f",
      "truncate -s 67108865 f; put f 67108864 x", "truncate -s 9G f; put f 8600000000 far; ln f f2",
      "f=$(printf 'n%.0s' $(seq 255)); mkdir $f; cd $f; truncate -s 70M $f; put $f 5 x",
      "f=\"$(printf 'b\\303\\244d\\377 name')\"; truncate -s 70M \"$f\"; put \"$f\" 5 x; truncate -s 70M "
      "gr\xc3\xbc\xc3\x9f",
      "python3 -c 'f=open(\"f\",\"wb\")\nfor i in range(500): f.seek(i << 20); f.write(b\"x%d\" % i)\n'",
      "truncate -s 1T f; put f 500000000000 x; put f 1099511627770 end");
  INFO(script);
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), std::string(kPut) + script);
  const std::string tar = diff_of(fixture.path("upper"));
  REQUIRE(map_in(tar));
  apply_to(fixture.path("layer"), tar);  // compares both forms
  CHECK(tree_difference(fixture.path("layer"), fixture.path("upper")) == "");
  CHECK((diff_of(fixture.path("layer")) == tar));
  const test::MountedForm mounted(tar, test::image_of(tar));
  CHECK((again(mounted.root()) == tar));
  const std::string used = shell("du -s --block-size=1 " + fixture.path("layer") + " | cut -f1").output;
  CHECK(std::stoull(used) < tar.size() + 1'000'000);
}

TEST_CASE("which blocks are left out is decided by the bytes, not by the file system",
          "[layerstore][sparse]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         std::string(kPut) + "truncate -s 150M f; put f 20000000 a; put f 99999999 bc");
  const std::string tar = diff_of(fixture.path("upper"));
  CHECK((map_in(tar) == std::vector<DataRegion>{{19988480, 65536}, {99942400, 65536}}));
  run_in(fixture.temp.path(), "mkdir full memory; cp -p --sparse=never upper/f full/f; touch -r upper full");
  CHECK(blocks_of(fixture.path("full/f")) > blocks_of(fixture.path("upper/f")));
  CHECK((diff_of(fixture.path("full")) == tar));
  const test::SmallDisk memory("300m");
  run_in(memory.path(), "cp -a " + fixture.path("upper") + " sparse; cp -a --sparse=never " +
                            fixture.path("full") + " full");
  CHECK((diff_of(memory.path() + "/sparse") == tar));
  CHECK((diff_of(memory.path() + "/full") == tar));
}

TEST_CASE("a file of very many regions is cut into larger blocks", "[layerstore][sparse]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         "python3 -c 'f=open(\"f\",\"wb\")\nfor i in range(10000): f.seek(i << 20); f.write(b\"x\"); "
         "f.seek((i << 20) + 131072); f.write(b\"y\")\n'");
  const UniqueFd file = sys::open_at(sys::cwd(), fixture.path("upper/f"), O_RDONLY);
  const auto size = static_cast<std::uint64_t>(sys::stat_of(file).st_size);
  const auto regions = find_worthwhile_holes(file, size);
  REQUIRE(regions);
  CHECK(regions->size() == 10000);
  CHECK(regions->front() == DataRegion{0, 262144});
  CHECK(regions->back() == DataRegion{std::uint64_t{9999} << 20U, 131073});
}

TEST_CASE("a file with less than 64 MiB of zeros is written whole, and is unpacked with holes",
          "[layerstore][sparse]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         std::string(kPut) +
             "truncate -s 30M f; put f 10000000 x; head -c 1000000 /dev/urandom > g; truncate -s 64M g");
  const std::string tar = diff_of(fixture.path("upper"));
  CHECK_FALSE(map_in(tar));
  apply_to(fixture.path("layer"), tar);
  CHECK(tree_difference(fixture.path("layer"), fixture.path("upper")) == "");
  CHECK(std::stoul(blocks_of(fixture.path("layer/f"))) <= 128);
}

TEST_CASE("other tools unpack our sparse files", "[layerstore][sparse]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), std::string(kPut) +
                                    "mkdir d; truncate -s 100M d/f; put d/f 50000000 x; truncate -s 80M 'end "
                                    "hole'; put 'end hole' 0 y\n"
                                    "truncate -s 90000001 end; put end 90000000 z; f=$(printf 'n%.0s' $(seq "
                                    "250)); truncate -s 70M $f; put $f 5 x\n"
                                    "truncate -s 70M gr\xc3\xbc\xc3\x9f; put gr\xc3\xbc\xc3\x9f 7 x; echo "
                                    "plain > plain; chmod 4711 end\n"
                                    "find . -exec touch -h -d @1234567890 {} +");
  const std::string tar = diff_of(fixture.path("upper"));
  sys::write_all(sys::open_at(fixture.temp.fd(), "ours.tar", O_WRONLY | O_CREAT, 0600),
                 std::string_view(tar));
  const auto* command = GENERATE(
      "tar --numeric-owner -xpf ours.tar -C out",
      "LC_ALL=C.UTF-8 bsdtar --numeric-owner -xpf ours.tar -C out",
      "python3 -c 'import tarfile\nwith tarfile.open(\"ours.tar\") as t: t.extractall(\"out\", "
      "numeric_owner=True)'\n"
      "chmod 4711 out/end",
      "umoci init --layout oci && umoci new --image oci:x && umoci raw add-layer --image oci:x ours.tar && "
      "umoci unpack --image oci:x bundle && rmdir out && mv bundle/rootfs out");
  INFO(command);
  run_in(fixture.temp.path(), std::string("mkdir out; ") + command + "\ntouch -d @1234567890 out/d out");
  CHECK(tree_difference(fixture.path("out"), fixture.path("upper")) == "");
}

TEST_CASE("sparse files of other tools are read", "[layerstore][sparse]") {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"),
         std::string(kPut) +
             "mkdir d; truncate -s 100000001 d/f; put d/f 50000000 x; truncate -s 1M "
             "hole; f=$(printf 'n%.0s' $(seq 250))\n"
             "truncate -s 1M $f; put $f 500000 x; put $f 1048570 end\n"
             "truncate -s 3M many; for i in $(seq 0 40); do put many $((i * 70000)) $i; done; find . -exec "
             "touch -h -d @1234567890 {} +");
  const auto* command = GENERATE("tar --format=posix -S --sparse-version=1.0 -cf ../out.tar .",
                                 "tar --format=gnu -S --numeric-owner -cf ../out.tar .",
                                 "bsdtar --format=pax --numeric-owner -cf ../out.tar .");
  INFO(command);
  run_in(fixture.path("upper"), command);
  const std::string tar = sys::read_all(sys::open_at(fixture.temp.fd(), "out.tar", O_RDONLY), 1U << 24U);
  REQUIRE(map_in(tar));
  apply_to(fixture.path("layer"), tar);
  CHECK(tree_difference(fixture.path("layer"), fixture.path("upper")) == "");
}

TEST_CASE("a sparse file whose holes are not aligned is unpacked", "[layerstore][sparse]") {
  const std::string tar =
      test::tar_pax(test::pax_record("GNU.sparse.major", "1") + test::pax_record("GNU.sparse.minor", "0") +
                    test::pax_record("GNU.sparse.name", "f") +
                    test::pax_record("GNU.sparse.realsize", "20")) +
      test::tar_file("GNUSparseFile.0/f", test::padded("2\n3\n2\n9\n1\n") + "abc") + test::tar_end_mark();
  const OverlayFixture fixture;
  StringSource source(tar);
  write_layer_folder(sys::open_dir(sys::cwd(), fixture.path("layer")), source, LayerForm::erofs);
  CHECK(find_layer_form(fixture.temp.fd(), "layer") == LayerForm::tree);
  CHECK(shell("od -An -c " + fixture.path("layer/tree/f") + " | tr -d ' \\n'").output ==
        "\\0\\0\\0ab\\0\\0\\0\\0c\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0");
}

TEST_CASE("a map that needs too many chunks exceeds the mounted form", "[layerstore][sparse]") {
  TreeBuilder builder;
  builder.add({.path = "f", .size = std::uint64_t{1} << 40U, .regions = std::vector<DataRegion>{{512, 512}}},
              512);
  StringSink image;
  CHECK(error_of([&] { write_erofs(builder.finish(), 4096, image); }).code() == Errc::unsupported);
}

TEST_CASE("a sparse file costs time by its data, not by its length", "[layerstore][sparse]") {
  const auto form = GENERATE(LayerForm::erofs, LayerForm::tree);
  const test::TempStore temp{.form = form};
  const UniqueFd upper =
      test::make_tree(temp.folder, "upper",
                      std::string(kPut) +
                          "truncate -s 1T f; head -c 1M /dev/urandom > data; "
                          "put f 700000000000 \"$(base64 -w0 data | head -c 120000)\"; rm data");
  const auto commit = [&](const UniqueFd& folder) {
    const auto start = std::chrono::steady_clock::now();
    const Image image = commit_upper(temp.store, folder, "sparse:1", {}, no_progress());
    temp.store.layers().ensure(image.config.diff_ids[0], image.manifest.layers[0], temp.store.blobs());
    CHECK(std::chrono::steady_clock::now() - start <
          std::chrono::seconds(5));  // zeros would take half an hour
    return image;
  };
  const Image image = commit(upper);
  const test::ShownLayer shown(temp.store, image.config.diff_ids[0]);
  const Image second = commit(sys::open_dir(sys::cwd(), shown.path()));
  CHECK(second.manifest.layers[0].digest == image.manifest.layers[0].digest);
}

}  // namespace lay::layerstore
